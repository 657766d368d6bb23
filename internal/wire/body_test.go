package wire

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write testdata/bodies.txt anew")

// bodies are all that a request, an answer or a line of a stream consists of.
var bodies = []any{
	Status{},
	Reloaded{},
	Fault{},
	SendTest{},
	SendTestReport{},
	Resealed{},
	Migrated{},
	User{},
	Contact{},
	NewApp{},
	NewToken{},
	ShelfToken{},
	LockRequest{},
	Language{},
	Lock{},
	Unlocked{},
	Cleared{},
	Resent{},
	Import{},
	Imported{},
	Contacts{},
	ContactsSet{},
	Sessions{},
	Revocation{},
	Visit{},
	Explanation{},
	Directory{},
	Fleet{},
	BackupHeader{},
	Saved{},
	Restore{},
	Restored{},
	Line{},
}

// fill sets every field that v reaches.
func fill(v reflect.Value) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Date(2026, 11, 29, 8, 30, 0, 0, time.UTC)))
		return
	case json.RawMessage:
		v.SetBytes([]byte(`{"a":1}`))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(7)
	case reflect.Int64: // a time span, most of them
		v.SetInt(int64(7 * time.Second))
	case reflect.Uint32:
		v.SetUint(7)
	default:
		panic("a body has a field of a kind that no test fills: " + v.Type().String())
	}
}

// TestBodies holds every body to the bytes it has on the socket, empty and full, and
// has each read back without loss by a reader that passes over nothing. A test that
// fails here means that programs which speak to the control socket break.
func TestBodies(t *testing.T) {
	var got strings.Builder
	for _, zero := range bodies {
		full := reflect.New(reflect.TypeOf(zero))
		fill(full.Elem())
		for _, v := range []any{zero, full.Elem().Interface()} {
			data, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			got.WriteString(reflect.TypeOf(zero).Name() + " " + string(data) + "\n")
			back := reflect.New(reflect.TypeOf(zero))
			dec := json.NewDecoder(bytes.NewReader(data))
			dec.DisallowUnknownFields()
			if err := dec.Decode(back.Interface()); err != nil || !reflect.DeepEqual(back.Elem().Interface(), v) {
				t.Errorf("%s became %+v (%v)", data, back.Elem().Interface(), err)
			}
		}
	}
	const golden = "testdata/bodies.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("bodies are\n%swant\n%s", got.String(), want)
	}
}

// TestBackupHeaderCheck refuses what this build cannot restore.
func TestBackupHeaderCheck(t *testing.T) {
	good := BackupHeader{Format: BackupFormat, Version: BackupVersion}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for want, h := range map[string]BackupHeader{
		"not a backup of mfa":   {Format: "tar", Version: BackupVersion},
		"a backup of version 2": {Format: BackupFormat, Version: 2},
	} {
		if err := h.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want %q", h, err, want)
		}
	}
}
