package enroll

// BackupConfig is the table [backup].
type BackupConfig struct {
	Codes int `toml:"codes"` // in a set
}
