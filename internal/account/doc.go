// Package account is the one door to a user: their records, what they mean, and the only
// Change of an enrollment; locks, remembered logins, and the secrets and their key.
//
// What to know before trusting it: users go by their canonical name, and a record
// names the account by uid as well, so it does not count for another account of that
// name. A record that does not parse denies its user and never counts as "not enrolled".
// Times that a wrong clock stored are bounded as states are read. What a conversation saw
// of a user at its beginning is compared in the update that commits.
package account
