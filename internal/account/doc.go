// Package account is the one door to a user: their records, what they mean, and the only
// Change of an enrollment; locks, remembered logins, and the secrets and their key.
//
// What to know before trusting it: users go by their canonical name, and a record
// names the account by uid as well, so it dies with the account. A record that does
// not parse denies its user and never counts as "not enrolled". What is not believed of
// a wrong clock is left out as records are read. What a conversation saw of a user at
// its beginning is compared in the very update that commits.
package account
