// Package e2e logs in for real: Debian's sshd, ssh, sudo and su with the built
// mfad, mfactl and pam_mfa.so.
//
// What to know before trusting it: TestMain runs the test binary again in
// namespaces of its own (mounts, processes, IPC, host name), with private /etc,
// /run, /dev and /var/log, so that users, PAM stacks and logs are the tests' own
// and nothing of the host changes; the kernel ends every process with the run.
// It needs root, the packages of install.sh and the artefacts of "make build".
// The tests share one /etc/pam.d and therefore run one after another.
package e2e
