// Package fleet logs in to many hosts of a fleet at once, and breaks what is between them:
// real mfad processes over three real members of etcd, on loopback.
//
// What to know before trusting it: clients speak the frames of the PAM socket, as the
// module does. Each mfad has a host name of its own, in a UTS namespace, and reaches each
// member through a relay (etcdtest.Relay), as members reach each other. It needs root.
// "make fleet-test" runs all of it; go test alone a part of about a minute.
package fleet
