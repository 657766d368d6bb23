package local

// Owner returns whose enrollment a file in the folder "users" is. It reports false
// for a file that is nobody's: the store passes over it.
func Owner(file string) (user string, ok bool) { return userName(file) }

// FileName returns the name of the file in the folder "users" that holds the
// enrollment of user. The error is about a name that fits no file.
func FileName(user string) (string, error) { return escapedName(user) }
