package wire

import "encoding/json"

// A Line is one line of an answer that is a stream: first one with Total, then
// one with each Item, at last one with End, or with the Error that cut the
// stream short. A stream without such a last line is not whole.
type Line struct {
	Total *int            `json:"total,omitempty"` // how many items can come at most
	Item  json.RawMessage `json:"item,omitempty"`
	End   bool            `json:"end,omitempty"`
	Error string          `json:"error,omitempty"`
}
