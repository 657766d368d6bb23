// Package packages tests what "make packages" makes, on whole systems: Debian 12
// and 13 booted with systemd in containers, an rpm database of its own, and another
// architecture under qemu.
//
// What to know before trusting it: it needs root, the network once (for the
// systems, kept in /var/cache/mfa-packages) and the packages in dist. What runs
// within the systems is the program in guest. Nothing of the machine is changed:
// every system is a copy that ends with its test.
package packages
