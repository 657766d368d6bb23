package wire

// A Record is the enrollment of a user as it is stored, in TOML.
type Record struct {
	User string `json:"user"` // canonical
	Text string `json:"text"`
}

// An Edit replaces an enrollment, if it is still the text before.
type Edit struct {
	Before string `json:"before"`
	After  string `json:"after"`
}

// Edited answers an Edit.
type Edited struct {
	User    string `json:"user"`
	Changed bool   `json:"changed"` // false: both texts mean the same
}
