package local

// Owner returns the user whose enrollment is in a file of the folder "users", by the name
// of the file. It is false for other files, which the store ignores.
func Owner(file string) (user string, ok bool) { return userName(file) }

// FileName returns the name of the file in the folder "users" that holds the
// enrollment of user. It fails for a name that is too long.
func FileName(user string) (string, error) { return escapedName(user) }
