package foreign

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"mfa/internal/factor/otp"
)

var today = time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)

// sharedKey is that of RFC 6030, section 6.1.
var sharedKey, _ = hex.DecodeString("12345678901234567890123456789012")

// containerOf is a list with these packages.
func containerOf(head string, packages ...string) string {
	return `<?xml version="1.0" encoding="UTF-8"?>
<KeyContainer Version="1.0" xmlns="urn:ietf:params:xml:ns:keyprov:pskc"
  xmlns:ds="http://www.w3.org/2000/09/xmldsig#" xmlns:xenc="http://www.w3.org/2001/04/xmlenc#">` +
		head + strings.Join(packages, "\n") + "</KeyContainer>\n"
}

// packageOf is a token with what is in its key.
func packageOf(serial, kind, inKey string) string {
	return fmt.Sprintf(`<KeyPackage><DeviceInfo><Manufacturer>Maker</Manufacturer><SerialNo>%s</SerialNo></DeviceInfo>
<Key Id="k%[1]s" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:%[2]s">%[3]s</Key></KeyPackage>`, serial, kind, inKey)
}

// plainKey is the secret of the RFC, and a count.
const plainKey = `<AlgorithmParameters><ResponseFormat Length="6" Encoding="DECIMAL"/></AlgorithmParameters>
<Data><Secret><PlainValue>MTIzNDU2Nzg5MDEyMzQ1
Njc4OTA=</PlainValue></Secret><Counter><PlainValue>7</PlainValue></Counter></Data>`

// figure6 is that of RFC 6030: a secret under AES-128-CBC, its MAC, and the MAC's key.
var figure6 = containerOf(macHead, packageOf("987654321", "hotp", encryptedKey))

const (
	macHead = `<EncryptionKey><ds:KeyName>Pre-shared-key</ds:KeyName></EncryptionKey>
<MACMethod Algorithm="http://www.w3.org/2000/09/xmldsig#hmac-sha1"><MACKey>
<xenc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/><xenc:CipherData><xenc:CipherValue>
ESIzRFVmd4iZABEiM0RVZgKn6WjLaTC1sbeBMSvIhRejN9vJa2BOlSaMrR7I5wSX
</xenc:CipherValue></xenc:CipherData></MACKey></MACMethod>`
	encryptedKey = `<Issuer>Issuer</Issuer><AlgorithmParameters><ResponseFormat Length="8" Encoding="DECIMAL"/></AlgorithmParameters>
<Data><Secret><EncryptedValue><xenc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/>
<xenc:CipherData><xenc:CipherValue>
AAECAwQFBgcICQoLDA0OD+cIHItlB3Wra1DUpxVvOx2lef1VmNPCMl8jwZqIUqGv
</xenc:CipherValue></xenc:CipherData></EncryptedValue><ValueMAC>Su+NvtQfmvfJzF6bmQiJqoLRExc=
</ValueMAC></Secret><Counter><PlainValue>0</PlainValue></Counter></Data>`
)

func TestPSKC(t *testing.T) {
	counts := func(serial string, digits int, count int64) App {
		return App{Secret: []byte(plainText), Params: otp.Params{Digits: digits, Algorithm: "SHA1"}, Count: count, Serial: serial}
	}
	byTime := App{Secret: []byte(plainText), Params: otp.Params{Digits: 8, Algorithm: "SHA256", Period: time.Minute}, Serial: "5"}
	for name, tc := range map[string]struct {
		text string
		want []Token
	}{
		"plain":     {containerOf("", packageOf("1", "hotp", plainKey)), []Token{{Place: "KeyPackage 1", App: counts("1", 6, 7)}}},
		"encrypted": {figure6, []Token{{Place: "KeyPackage 1", App: counts("987654321", 8, 0)}}},
		"of users": {
			containerOf("", packageOf("1", "hotp", plainKey+"<UserId>DC=net, UID=jsmith</UserId>"),
				packageOf("2", "hotp", plainKey+"<UserId>alice</UserId>"), packageOf("3", "hotp", plainKey+"<UserId>CN=bob,O=x</UserId>"),
				packageOf("4", "hotp", plainKey+"<UserId>O=x</UserId>")),
			[]Token{
				{Place: "KeyPackage 1", User: "jsmith", App: counts("1", 6, 7)},
				{Place: "KeyPackage 2", User: "alice", App: counts("2", 6, 7)},
				{Place: "KeyPackage 3", User: "bob", App: counts("3", 6, 7)},
				{Place: "KeyPackage 4", App: counts("4", 6, 7)},
			},
		},
		"by time": {
			containerOf("", packageOf("5", "totp", `<AlgorithmParameters><Suite>HMAC-SHA256</Suite><ResponseFormat Length="8" Encoding="DECIMAL"/></AlgorithmParameters>
<Data><Secret><PlainValue>MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=</PlainValue></Secret><Time><PlainValue>0</PlainValue></Time><TimeInterval><PlainValue>60</PlainValue></TimeInterval></Data>`)),
			[]Token{{Place: "KeyPackage 1", App: byTime}},
		},
		"no number": {
			containerOf("", `<KeyPackage><Key Id="abc" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:hotp">`+plainKey+`</Key></KeyPackage>`),
			[]Token{{Place: "KeyPackage 1", App: counts("abc", 6, 7)}},
		},
		"none": {containerOf(""), nil},
	} {
		got, signed, err := PSKC([]byte(tc.text), sharedKey, today)
		if err != nil || signed || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s:\n%+v, %v\nwant\n%+v", name, got, err, tc.want)
		}
	}
}

// A token that cannot be taken over has its own error; a value that was changed refuses the list.
func TestPSKCRefuses(t *testing.T) {
	change := func(from, to string) string { return strings.Replace(figure6, from, to, 1) }
	for name, tc := range map[string]struct {
		text, key, want string // an error of the whole
		one             string // an error of the token
	}{
		"nothing":           {text: "", want: "empty, or cut short"},
		"no XML":            {text: "serial,secret\n", want: "empty, or cut short"},
		"cut short":         {text: figure6[:len(figure6)-40], want: "cut short"},
		"an entity":         {text: `<!DOCTYPE x [<!ENTITY a "b">]>` + containerOf("&a;"), want: "no XML"},
		"another document":  {text: `<KeyContainer xmlns="urn:x"/>`, want: "not a KeyContainer"},
		"more behind it":    {text: containerOf("") + "<x/>", want: "something follows"},
		"another key":       {text: figure6, key: "00000000000000000000000000000000", want: "the MAC does not match"},
		"a flipped bit":     {text: change("AAECAwQF", "AAECAwQE"), want: "the MAC does not match"},
		"another MAC":       {text: change("Su+N", "Su+M"), want: "the MAC does not match"},
		"MAC not known":     {text: change("#hmac-sha1", "#hmac-md5"), want: "is not known here"},
		"a passphrase":      {text: change("<ds:KeyName>Pre-shared-key</ds:KeyName>", "<DerivedKey/>"), want: "under a passphrase"},
		"a key too long":    {text: figure6, key: "123456789012345678901234567890121234567890123456", want: "the key has 24 bytes: want 16"},
		"no key":            {text: figure6, key: "none", one: "--key-file"},
		"no MAC":            {text: containerOf("", packageOf("1", "hotp", encryptedKey)), one: "without a MAC"},
		"cipher not known":  {text: strings.ReplaceAll(containerOf(macHead, packageOf("1", "hotp", strings.Replace(encryptedKey, "aes128-cbc", "tripledes-cbc", 1))), "x", "x"), one: "is not known here"},
		"another algorithm": {text: containerOf("", packageOf("1", "ocra", plainKey)), one: "its algorithm is"},
		"letters":           {text: containerOf("", packageOf("1", "hotp", strings.Replace(plainKey, "DECIMAL", "ALPHANUMERIC", 1))), one: `"ALPHANUMERIC"`},
		"a check digit":     {text: containerOf("", packageOf("1", "hotp", strings.Replace(plainKey, "Encoding", `CheckDigits="true" Encoding`, 1))), one: "check digit"},
		"ten digits":        {text: containerOf("", packageOf("1", "hotp", strings.Replace(plainKey, `"6"`, `"10"`, 1))), one: "digits are 10"},
		"no secret":         {text: containerOf("", packageOf("1", "hotp", "<Data/>")), one: "there is none"},
		"a short secret":    {text: containerOf("", packageOf("1", "hotp", `<Data><Secret><PlainValue>MTIz</PlainValue></Secret></Data>`)), one: "too short"},
		"no base64":         {text: containerOf("", packageOf("1", "hotp", `<Data><Secret><PlainValue>!</PlainValue></Secret></Data>`)), one: "not base64"},
		"a count below 0":   {text: containerOf("", packageOf("1", "hotp", strings.Replace(plainKey, ">7<", ">-7<", 1))), one: "counter: not a number"},
		"expired":           {text: containerOf("", packageOf("1", "hotp", plainKey+"<Policy><ExpiryDate>2020-01-01T00:00:00Z</ExpiryDate></Policy>")), one: "expired on 2020-01-01"},
		"a PIN":             {text: containerOf("", packageOf("1", "hotp", plainKey+`<Policy><PINPolicy PINUsageMode="Append"/></Policy>`)), one: "it has a PIN"},
		"for signatures":    {text: containerOf("", packageOf("1", "hotp", plainKey+"<Policy><KeyUsage>CR</KeyUsage></Policy>")), one: "not for one-time codes"},
		"no time":           {text: containerOf("", packageOf("1", "totp", strings.Replace(plainKey, "<Data>", "<Data><TimeInterval><PlainValue>0</PlainValue></TimeInterval>", 1))), one: "time interval"},
		"another suite":     {text: containerOf("", packageOf("1", "totp", strings.Replace(plainKey, "<AlgorithmParameters>", "<AlgorithmParameters><Suite>HMAC-MD5</Suite>", 1))), one: "its suite"},
	} {
		key := sharedKey
		if tc.key != "" {
			key, _ = hex.DecodeString(tc.key)
		}
		if tc.key == "none" {
			key = nil
		}
		all, _, err := PSKC([]byte(tc.text), key, today)
		switch {
		case tc.want != "":
			if err == nil || !strings.Contains(err.Error(), tc.want) || all != nil {
				t.Errorf("%s: %+v, %v; want %q", name, all, err, tc.want)
			}
		case err != nil || len(all) != 1 || all[0].Err == nil || !strings.Contains(all[0].Err.Error(), tc.one) || all[0].App.Secret != nil:
			t.Errorf("%s: %+v, %v; want %q", name, all, err, tc.one)
		}
	}
}

// Values under other ciphers and hashes are opened, and the MAC may be made with the
// key itself (RFC 6030, section 6.1.1). A counter may be encrypted too.
func TestPSKCOfOtherCiphers(t *testing.T) {
	for size, name := range map[int]string{16: "aes128-cbc", 24: "aes192-cbc", 32: "aes256-cbc"} {
		shared := bytes.Repeat([]byte{7}, size)
		seal := func(plain []byte) string {
			pad := aes.BlockSize - len(plain)%aes.BlockSize
			plain = append(bytes.Clone(plain), bytes.Repeat([]byte{byte(pad)}, pad)...)
			block, err := aes.NewCipher(shared)
			if err != nil {
				t.Fatal(err)
			}
			out := append(bytes.Repeat([]byte{9}, aes.BlockSize), plain...)
			cipher.NewCBCEncrypter(block, out[:aes.BlockSize]).CryptBlocks(out[aes.BlockSize:], plain)
			mac := hmac.New(sha256.New, shared)
			mac.Write(out)
			return fmt.Sprintf(`<EncryptedValue><xenc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#%s"/><xenc:CipherData><xenc:CipherValue>%s</xenc:CipherValue></xenc:CipherData></EncryptedValue><ValueMAC>%s</ValueMAC>`,
				name, base64.StdEncoding.EncodeToString(out), base64.StdEncoding.EncodeToString(mac.Sum(nil)))
		}
		text := containerOf(`<MACMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"/>`,
			packageOf("1", "hotp", "<Data><Secret>"+seal([]byte(plainText))+"</Secret><Counter>"+seal([]byte{0, 0, 1, 2})+"</Counter></Data>"))
		all, _, err := PSKC([]byte(text), shared, today)
		if err != nil || len(all) != 1 || all[0].Err != nil || string(all[0].App.Secret) != plainText || all[0].App.Count != 258 {
			t.Errorf("%s: %+v, %v", name, all, err)
		}
	}
}

// pskctool, which shares no line of code, reads the same of the lists that the tests make.
func TestPSKCOfPskctool(t *testing.T) {
	const pskctool = "pskctool"
	if _, err := exec.LookPath(pskctool); err != nil {
		out, err := exec.CommandContext(t.Context(), "../../../e2e/install.sh", pskctool).CombinedOutput()
		if err != nil && os.Geteuid() != 0 && os.Getenv("CI") != "true" {
			t.Skip("needs pskctool, and only root can install it: apt-get install pskctool")
		}
		if err != nil {
			t.Fatalf("install pskctool: %v\n%s", err, out)
		}
	}
	text := containerOf("", packageOf("12345678", "hotp", plainKey+"<UserId>UID=jsmith</UserId>"))
	cmd := exec.CommandContext(t.Context(), pskctool, "--info", "--strict")
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("pskctool: %v\n%s", err, out)
	}
	all, _, err := PSKC([]byte(text), nil, today)
	if err != nil || len(all) != 1 || all[0].Err != nil {
		t.Fatalf("%+v, %v", all, err)
	}
	a := all[0].App
	for _, want := range []string{
		a.Serial, "hotp", "UID=" + all[0].User, fmt.Sprintf("Key Counter: %d", a.Count), fmt.Sprintf("Length: %d", a.Params.Digits),
		"Key Secret (base64): " + base64.StdEncoding.EncodeToString(a.Secret),
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("pskctool does not say %q:\n%s", want, out)
		}
	}
}

func TestParseShared(t *testing.T) {
	for text, want := range map[string]int{
		"12345678901234567890123456789012\n": 16, "12 34 56 78 90 12 34 56 78 90 12 34 56 78 90 12": 16,
		"EjRWeJASNFZ4kBI0VniQEg==": 16, strings.Repeat("ab", 24): 24, strings.Repeat("ab", 32): 32,
		"": 0, "1234": 0, "not a key": 0, strings.Repeat("ab", 33): 0,
	} {
		if key, err := ParseShared(text); len(key) != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d bytes, %v", text, len(key), err)
		}
	}
}

func TestTokenCSV(t *testing.T) {
	all, err := TokenCSV("\ufeffSerial, User ,secret,counter,digits\r\n" +
		"1,alice,3132333435363738393031323334353637383930,,\n\n" +
		"2,, 3132 3334 3536 3738 3930 3132 3334 3536 3738 3930 ,5,8\n" +
		"\"3\",bob,gezd gnbv gy3t qojq gezd gnbv gy3t qojq,0,6\n")
	want := []Token{
		{Place: "line 2", User: "alice", App: App{Secret: []byte(plainText), Params: counting, Serial: "1"}},
		{Place: "line 4", App: App{Secret: []byte(plainText), Params: otp.Params{Digits: 8, Algorithm: "SHA1"}, Count: 5, Serial: "2"}},
		{Place: "line 5", User: "bob", App: App{Secret: []byte(plainText), Params: counting, Serial: "3"}},
	}
	if err != nil || !reflect.DeepEqual(all, want) {
		t.Errorf("%+v, %v\nwant\n%+v", all, err, want)
	}
}

func TestTokenCSVRefuses(t *testing.T) {
	const head, good = "serial,secret,counter\n", "1," + secret16 + ",0\n"
	for text, wants := range map[string][]string{
		"":                       {"line 1: want the names of the columns: serial,secret,user,counter,digits"},
		"serial,user\n":          {`there is no column "secret"`},
		"serial,secret,colour\n": {"line 1: column 3 is not known"},
		"serial,secret,serial\n": {"column 3 is not known, or there twice"},
		head + good + "2,x,0\n":  {"line 3: the secret is neither", "line 3"},
		head + good + good:       {"line 3: the serial number of line 2 once more"},
		head + "," + secret16:    {"line 2: 2 columns: want 3"},
		head + "," + secret16 + ",\n3," + secret16 + ",x\n4," + secret16 + ",-1\n": {"line 2: no serial number", "line 3: the counter is not a number", "line 4: it cannot be used"},
		head + "1,\"" + secret16:             {"line 2: "},
		head + strings.Repeat("1,x,0\n", 50): {"line 21: "},
	} {
		all, err := TokenCSV(text)
		for _, want := range wants {
			if err == nil || !strings.Contains(err.Error(), want) || all != nil {
				t.Errorf("%q: %+v, %v; want %q", text, all, err, want)
			}
		}
		if err != nil && (strings.Contains(err.Error(), secret16) || strings.Contains(err.Error(), "line 22:")) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Whatever a list holds, it is refused or gives tokens that make codes, and no error gives
// away what may be a secret.
func FuzzPSKC(f *testing.F) {
	f.Add(figure6)
	f.Add(containerOf("", packageOf("1", "hotp", plainKey)))
	f.Add(containerOf("", packageOf("1", "totp", plainKey)))
	f.Fuzz(func(t *testing.T, text string) {
		all, _, err := PSKC([]byte(text), sharedKey, today)
		heldToUse(t, all, err)
	})
}

// Likewise, for lines with commas.
func FuzzTokenCSV(f *testing.F) {
	f.Add("serial,secret,user,counter,digits\n1," + secret16 + ",alice,7,8\n")
	f.Add("secret,serial\n" + secret32 + ",1\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := TokenCSV(text)
		heldToUse(t, all, err)
	})
}

func heldToUse(t *testing.T, all []Token, err error) {
	t.Helper()
	if err != nil {
		if all != nil {
			t.Errorf("%d tokens beside %v", len(all), err)
		}
		if strings.Contains(err.Error(), secret16) || len(err.Error()) > 4096 {
			t.Errorf("%v", err)
		}
		return
	}
	for _, tok := range all {
		if tok.Err == nil {
			usable(t, tok.App)
		} else if tok.App.Secret != nil {
			t.Errorf("a secret beside %v", tok.Err)
		}
	}
}
