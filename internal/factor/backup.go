package factor

import (
	"cmp"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/argon2"

	"mfa/internal/mfa"
)

// backupAlphabet has no two symbols that look alike on paper: no 0 and o, no 1,
// i and l, no u beside v, and of 2 z, 5 s, 8 b, 9 g q the digits only.
const backupAlphabet = "23456789acdefhjkmnprtvwxy"

// A code has 16 of 25 symbols: 74 bits. One guess is tried against all codes of the set,
// as it has one salt: of a hundred codes each keeps over 67 bits, above the 64 that NIST
// SP 800-63B-4 asks of saved recovery codes. Sets without a length are older; their codes
// have 12 symbols, or are foreign.
const (
	backupSymbols    = 16
	oldBackupSymbols = 12
	backupGroup      = 4
)

// Parameters of new sets: the second choice of the OWASP Password Storage
// Cheat Sheet for Argon2id (19 MiB, 2 passes, 1 thread); salt and hash have the 128
// bits that RFC 9106, section 4, calls sufficient. A set holds its parameters.
const (
	backupMemory   = 19 * 1024 // KiB
	backupTime     = 2
	backupThreads  = 1
	backupSaltSize = 16
	backupHashSize = 16
	backupIDSize   = 8
)

// Bounds on a set's parameters. A record is edited by hand, and a slip there must not
// take all the memory of the machine.
const (
	maxBackupMemory  = 256 * 1024 // KiB
	maxBackupTime    = 16
	maxBackupThreads = 16
	maxBackupCodes   = 100
	maxBackupSymbols = 64
)

// NewBackupSet makes n codes (1 to 100) with randomness from r. The codes are to
// be shown once, in groups like "k7mx-24wp-9hre-3cdf". It costs what n calls of
// MatchBackup cost.
func NewBackupSet(r io.Reader, n int) (codes []string, set mfa.BackupSet, err error) {
	if n < 1 || n > maxBackupCodes {
		return nil, mfa.BackupSet{}, fmt.Errorf("make backup codes: %d are wanted: want 1 to %d", n, maxBackupCodes)
	}
	plain := make([]string, n)
	for i := range plain {
		if plain[i], err = newSymbols(r, backupSymbols); err != nil {
			return nil, mfa.BackupSet{}, fmt.Errorf("make backup codes: %w", err)
		}
		codes = append(codes, grouped(plain[i]))
	}
	if set, err = backupSetOf(r, plain); err != nil {
		return nil, mfa.BackupSet{}, fmt.Errorf("make backup codes: %w", err)
	}
	return codes, set, nil
}

// ForeignBackupSet makes a set of codes that another program made: 1 to 100, of
// 8 digits each. They are weaker than ours (27 bits), as they were before. It
// costs what NewBackupSet costs.
func ForeignBackupSet(r io.Reader, codes []string) (mfa.BackupSet, error) {
	if len(codes) < 1 || len(codes) > maxBackupCodes {
		return mfa.BackupSet{}, fmt.Errorf("take backup codes: %d are given: want 1 to %d", len(codes), maxBackupCodes)
	}
	for i, code := range codes {
		if !isForeign(code) {
			return mfa.BackupSet{}, fmt.Errorf("take backup codes: code %d has not %d digits", i+1, foreignDigits)
		}
	}
	set, err := backupSetOf(r, codes)
	if err != nil {
		return mfa.BackupSet{}, fmt.Errorf("take backup codes: %w", err)
	}
	return set, nil
}

// foreignDigits is the length of the scratch codes of google-authenticator(1).
const foreignDigits = 8

// isForeign says whether a code without separators has the shape of a scratch
// code of google-authenticator.
func isForeign(code string) bool {
	return len(code) == foreignDigits && isDigits(code)
}

// backupSetOf returns what is kept of codes, one or more, which have no separators
// and are equally long.
func backupSetOf(r io.Reader, codes []string) (mfa.BackupSet, error) {
	random := make([]byte, backupIDSize+backupSaltSize)
	if _, err := io.ReadFull(r, random); err != nil {
		return mfa.BackupSet{}, err
	}
	salt := random[backupIDSize:]
	set := mfa.BackupSet{
		ID: hex.EncodeToString(random[:backupIDSize]), Salt: base64.RawStdEncoding.EncodeToString(salt),
		Symbols: len(codes[0]), Memory: backupMemory, Time: backupTime, Threads: backupThreads,
	}
	for _, code := range codes {
		set.Hashes = append(set.Hashes, base64.RawStdEncoding.EncodeToString(backupHash(set, code, salt)))
	}
	return set, nil
}

// newSymbols returns a code of n symbols without separators, uniform.
func newSymbols(r io.Reader, n int) (string, error) {
	// Bytes past the last whole multiple of the alphabet would favour its start.
	const ceiling = 256 / len(backupAlphabet) * len(backupAlphabet)
	code := make([]byte, 0, n)
	var b [1]byte
	for len(code) < n {
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return "", err
		}
		if v := int(b[0]); v < ceiling {
			code = append(code, backupAlphabet[v%len(backupAlphabet)])
		}
	}
	return string(code), nil
}

// grouped puts a dash between the groups of a code.
func grouped(code string) string {
	var b strings.Builder
	for i, r := range code {
		if i > 0 && i%backupGroup == 0 {
			b.WriteByte('-')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// BackupCode returns the code without separators that an answer means, and whether
// it has the shape of a code of the set. The shape is no secret; an answer without it is
// no attempt. Letters may be in either case; z, s, b, g, q and u, which no code has, are
// read as 2, 5, 8, 9, 9 and v. Otherwise an answer is read as by Digits.
func BackupCode(set mfa.BackupSet, answer string) (code string, shaped bool) {
	return typed(answer, func(text string) (string, bool) {
		if set.Symbols == foreignDigits || set.Symbols == 0 && isForeign(text) {
			return text, isForeign(text)
		}
		return symbols(text, cmp.Or(set.Symbols, oldBackupSymbols))
	})
}

// Endings returns how the codes of a set may stand behind a password, besides what
// people type around a code.
func Endings(set mfa.BackupSet) []mfa.Ending {
	if set.Symbols == foreignDigits {
		return []mfa.Ending{foreignEnding}
	}
	all := symbolEndings(cmp.Or(set.Symbols, oldBackupSymbols))
	if set.Symbols == 0 {
		all = append(all, foreignEnding)
	}
	return all
}

// foreignEnding is that of a code of which isForeign is true.
var foreignEnding = mfa.Ending{Symbols: foreignDigits, Of: "0123456789", Comma: true}

// symbolEndings are those of codes of n symbols: with dashes, and without, which a
// password with a comma and a code of digits could be too.
func symbolEndings(n int) []mfa.Ending {
	plain := mfa.Ending{Symbols: n, Of: backupAlphabet + "zsbgqu", Comma: true} // as backupSymbol reads them
	grouped := plain
	grouped.Grouped = true
	return []mfa.Ending{grouped, plain}
}

// MatchBackup says whether answer means a code of the set, and which. The caller
// looks up whether that index was used before.
//
// An answer that has not the shape of a code is refused at once. Any other costs
// one Argon2id, about 20 ms and Memory KiB (19 MiB for a new set), and is compared
// with all hashes in constant time. The caller must bound how many run at once with
// a semaphore of its own, for a thousand parallel guesses would take 19 GiB; and
// call it outside a store's Update, which may run its function more than once. An
// error means that the set cannot be used; it is no verdict about the answer.
func MatchBackup(set mfa.BackupSet, answer string) (index int, ok bool, err error) {
	salt, hashes, err := decodeBackup(set)
	if err != nil {
		return 0, false, fmt.Errorf("read backup codes: %w", err)
	}
	code, shaped := BackupCode(set, answer)
	if !shaped {
		return 0, false, nil
	}
	hash, found := backupHash(set, code, salt), -1
	for i := range hashes {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(hash, hashes[i]), i, found)
	}
	return max(found, 0), found >= 0, nil
}

// backupHash returns the Argon2id hash of a code without separators.
func backupHash(set mfa.BackupSet, code string, salt []byte) []byte {
	return argon2.IDKey([]byte(code), salt, set.Time, set.Memory, set.Threads, backupHashSize)
}

// decodeBackup returns the bytes of a set, or what is wrong with it.
func decodeBackup(set mfa.BackupSet) (salt []byte, hashes [][]byte, err error) {
	if err := checkBackup(set); err != nil {
		return nil, nil, err
	}
	salt, ok := decodeBytes(set.Salt, backupSaltSize)
	if !ok {
		return nil, nil, fmt.Errorf("salt is not %d bytes in base64", backupSaltSize)
	}
	for i, text := range set.Hashes {
		hash, ok := decodeBytes(text, backupHashSize)
		if !ok {
			return nil, nil, fmt.Errorf("hash %d is not %d bytes in base64", i+1, backupHashSize)
		}
		hashes = append(hashes, hash)
	}
	return salt, hashes, nil
}

// decodeBytes returns the bytes of a text in base64, if there are size of them.
func decodeBytes(text string, size int) (data []byte, ok bool) {
	data, err := base64.RawStdEncoding.DecodeString(text)
	return data, err == nil && len(data) == size
}

// checkBackup returns what of a set is missing or out of bounds, or nil: a file that was
// edited by hand must not make one login cost all memory.
func checkBackup(set mfa.BackupSet) error {
	switch {
	case set.ID == "":
		return errors.New("id is missing")
	case set.Symbols < 0 || set.Symbols > maxBackupSymbols:
		return fmt.Errorf("symbols is %d: want %d or fewer", set.Symbols, maxBackupSymbols)
	case set.Threads < 1 || set.Threads > maxBackupThreads:
		return fmt.Errorf("threads is %d: want 1 to %d", set.Threads, maxBackupThreads)
	case set.Time < 1 || set.Time > maxBackupTime:
		return fmt.Errorf("time is %d: want 1 to %d", set.Time, maxBackupTime)
	case set.Memory < 8*uint32(set.Threads) || set.Memory > maxBackupMemory:
		return fmt.Errorf("memory_kib is %d: want %d to %d", set.Memory, 8*uint32(set.Threads), maxBackupMemory)
	case len(set.Hashes) > maxBackupCodes:
		return fmt.Errorf("hashes are %d: want %d or fewer", len(set.Hashes), maxBackupCodes)
	}
	return nil
}

// symbols returns the code that a text without separators is, and whether it has n
// symbols.
func symbols(text string, n int) (code string, shaped bool) {
	code = strings.Map(backupSymbol, text)
	outside := func(r rune) bool { return !strings.ContainsRune(backupAlphabet, r) }
	return code, len(code) == n && !strings.ContainsFunc(code, outside)
}

// backupSymbol returns the symbol somebody meant who typed r.
func backupSymbol(r rune) rune {
	if r >= 'A' && r <= 'Z' {
		r += 'a' - 'A'
	}
	switch r {
	case 'z':
		return '2'
	case 's':
		return '5'
	case 'b':
		return '8'
	case 'g', 'q':
		return '9'
	case 'u':
		return 'v'
	}
	return r
}
