package mfa

import (
	"reflect"
	"testing"
	"time"
)

// A copy is equal, field by field, and no pointer, slice or map of it is the original's:
// a field that is new is in none of them until Clone knows of it.
func TestCloneSharesNothing(t *testing.T) {
	var st State
	fill(reflect.ValueOf(&st).Elem())
	unshared(t, "State", reflect.ValueOf(st), reflect.ValueOf(st.Clone()))
	var en Enrollment
	fill(reflect.ValueOf(&en).Elem())
	unshared(t, "Enrollment", reflect.ValueOf(en), reflect.ValueOf(en.Clone()))
}

func TestCloneOfNothing(t *testing.T) {
	if st := (State{}).Clone(); !reflect.DeepEqual(st, State{}) {
		t.Errorf("state %+v", st)
	}
	if en := (Enrollment{}).Clone(); !reflect.DeepEqual(en, Enrollment{}) {
		t.Errorf("enrollment %+v", en)
	}
}

var timeType = reflect.TypeFor[time.Time]()

// fill puts something into everything that v holds.
func fill(v reflect.Value) {
	switch v.Kind() {
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
	case reflect.Struct:
		if v.Type() == timeType {
			v.Set(reflect.ValueOf(time.Unix(1700000000, 1)))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint8, reflect.Uint32:
		v.SetUint(7)
	default:
		panic("fill what? " + v.Type().String())
	}
}

// unshared looks at a and its copy b, and all that they hold.
func unshared(t *testing.T, path string, a, b reflect.Value) {
	t.Helper()
	if !reflect.DeepEqual(a.Interface(), b.Interface()) {
		t.Errorf("%s: %v became %v", path, a, b)
		return
	}
	switch a.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		if a.IsZero() || a.Pointer() == b.Pointer() {
			t.Errorf("%s is shared", path)
		}
	}
	switch {
	case a.Type() == timeType:
	case a.Kind() == reflect.Pointer:
		unshared(t, path, a.Elem(), b.Elem())
	case a.Kind() == reflect.Slice:
		unshared(t, path+"[0]", a.Index(0), b.Index(0))
	case a.Kind() == reflect.Struct:
		for i := range a.NumField() {
			unshared(t, path+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i))
		}
	}
}
