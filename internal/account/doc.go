// Package account is the one door to a user: their records, and what they mean.
//
// What to know before trusting it: users go by their canonical name, and a record
// names the account by uid as well, so it dies with the account. A record that does
// not parse denies its user and never counts as "not enrolled". What is not believed of
// a wrong clock is left out as records are read.
package account
