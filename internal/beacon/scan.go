package beacon

import (
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is the deepest that a beacon nests: array, beacon, probes, probe,
// warm, with one to spare. Nothing recurses on input.
const maxDepth = 6

// scanner reads JSON (RFC 8259) token by token. It keeps the first error and
// then behaves as if the input had ended, so that callers need not check after
// every token: loops end, values are zero.
type scanner struct {
	in    []byte
	pos   int
	way   [maxDepth]step
	depth int
	text  []byte // the last string that had an escape in it
	err   *Error
}

func (s *scanner) reset(in []byte) {
	s.in, s.pos, s.depth, s.err = in, 0, 0, nil
}

// fail records the first error, at the current field.
func (s *scanner) fail(r Reason, detail string) {
	if s.err == nil {
		s.err = &Error{Reason: r, Field: field(s.in, s.way[:s.depth]), Detail: detail}
	}
	s.in, s.pos = nil, 0
}

// failAt is fail at a field of the object that is being read.
func (s *scanner) failAt(r Reason, name, detail string) {
	if s.err == nil {
		f := field(s.in, s.way[:s.depth])
		if f != "" {
			f += "."
		}
		s.err = &Error{Reason: r, Field: f + name, Detail: detail}
	}
	s.in, s.pos = nil, 0
}

// want fails for a token that is not what.
func (s *scanner) want(what string) {
	switch c := s.peek(); {
	case s.pos >= len(s.in):
		s.fail(ReasonSyntax, "ends early: want "+what)
	case c == '"', c == '{', c == '[', c == '-', c >= '0' && c <= '9', c == 't', c == 'f', c == 'n':
		s.fail(ReasonType, "want "+what)
	default:
		s.fail(ReasonSyntax, "want "+what)
	}
}

// peek skips white space and returns the byte after it, 0 at the end.
func (s *scanner) peek() byte {
	if s.pos < len(s.in) && s.in[s.pos] > ' ' { // nearly always; inlined
		return s.in[s.pos]
	}
	return s.skip()
}

func (s *scanner) skip() byte {
	for ; s.pos < len(s.in); s.pos++ {
		if c := s.in[s.pos]; c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c
		}
	}
	return 0
}

// end fails unless only white space is left.
func (s *scanner) end() {
	s.peek()
	if s.pos < len(s.in) {
		s.fail(ReasonSyntax, "something follows the end")
	}
}

// object is the state of reading one object.
type object struct {
	key  []byte
	seen uint32 // a bit for each field that was read
	open bool
}

// field moves to the next field of o, whose key is then o.key. It returns
// false after the last one, and on an error.
func (s *scanner) field(o *object) bool {
	c := s.peek()
	switch {
	case !o.open:
		if c != '{' || s.depth == maxDepth {
			s.want("an object")
			return false
		}
		o.open = true
		s.pos++
		if c = s.peek(); c == '}' {
			s.pos++
			return false
		}
		s.depth++
	case c == '}':
		s.pos++
		s.depth--
		return false
	case c != ',':
		s.depth--
		s.fail(ReasonSyntax, "want , or } after a field")
		return false
	default:
		s.pos++
		c = s.peek()
	}
	if c != '"' {
		s.depth--
		s.fail(ReasonSyntax, "want a field name")
		return false
	}
	from := s.pos + 1
	s.way[s.depth-1] = step{from, from, -1}
	o.key = s.str()
	s.way[s.depth-1].to = max(from, s.pos-1)
	if s.peek() != ':' {
		s.fail(ReasonSyntax, "want : after a field name")
		return false
	}
	s.pos++
	return true
}

// once fails if the field of this bit was read before.
func (s *scanner) once(o *object, bit uint32) {
	if o.seen&bit != 0 {
		s.fail(ReasonDuplicate, "is there twice")
	}
	o.seen |= bit
}

// array is the state of reading one array.
type array struct {
	n    int // elements begun
	open bool
}

// element moves to the next element of a, at most limit of them. It returns
// false after the last one, and on an error.
func (s *scanner) element(a *array, limit int) bool {
	c := s.peek()
	switch {
	case !a.open:
		if c != '[' || s.depth == maxDepth {
			s.want("an array")
			return false
		}
		a.open = true
		s.pos++
		if s.peek() == ']' {
			s.pos++
			return false
		}
		s.depth++
	case c == ']':
		s.pos++
		s.depth--
		return false
	case c != ',':
		s.depth--
		s.fail(ReasonSyntax, "want , or ] after an element")
		return false
	default:
		s.pos++
	}
	if a.n == limit {
		s.depth--
		s.fail(ReasonCount, "has more than "+strconv.Itoa(limit)+" elements")
		return false
	}
	s.way[s.depth-1] = step{index: a.n}
	a.n++
	return true
}

// str reads a string. The result is valid until the next one is read.
func (s *scanner) str() []byte {
	if s.peek() != '"' {
		s.want("a string")
		return nil
	}
	from, in := s.pos+1, s.in
	for i := from; i < len(in); i++ {
		if plainByte[in[i]] {
			continue
		}
		if in[i] == '"' {
			s.pos = i + 1
			return in[from:i]
		}
		return s.slowStr(from, i)
	}
	s.fail(ReasonSyntax, "the string has no end")
	return nil
}

// plainByte tells the bytes that stand for themselves in a string.
var plainByte = func() (t [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// slowStr is str for a string that is plain ASCII only up to at.
func (s *scanner) slowStr(from, at int) []byte {
	s.text = append(s.text[:0], s.in[from:at]...)
	for i := at; i < len(s.in); {
		c := s.in[i]
		switch {
		case c == '"':
			s.pos = i + 1
			return s.text
		case c < ' ':
			s.fail(ReasonSyntax, "a control character in a string")
			return nil
		case c >= utf8.RuneSelf:
			_, n := utf8.DecodeRune(s.in[i:])
			if n == 1 { // RuneError that is not a U+FFFD itself
				s.fail(ReasonUTF8, "is not UTF-8")
				return nil
			}
			s.text = append(s.text, s.in[i:i+n]...)
			i += n
		case c != '\\':
			s.text = append(s.text, c)
			i++
		default:
			n := s.escape(s.in[i:])
			if n == 0 {
				return nil
			}
			i += n
		}
	}
	s.fail(ReasonSyntax, "the string has no end")
	return nil
}

// escape appends what the escape sequence at the start of b stands for and
// returns its length; 0 is an error.
func (s *scanner) escape(b []byte) int {
	if len(b) >= 2 {
		const letters, controls = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
		for i := range len(letters) {
			if b[1] == letters[i] {
				s.text = append(s.text, controls[i])
				return 2
			}
		}
	}
	r, ok := unicodeEscape(b)
	if !ok {
		s.fail(ReasonSyntax, "not an escape sequence of JSON")
		return 0
	}
	n := 6
	if utf16.IsSurrogate(r) {
		low, _ := unicodeEscape(b[6:])
		if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
			s.fail(ReasonUTF8, "half of a surrogate pair")
			return 0
		}
		n = 12
	}
	s.text = utf8.AppendRune(s.text, r)
	return n
}

// unicodeEscape reads \uXXXX.
func unicodeEscape(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range b[2:6] {
		r <<= 4
		switch {
		case c >= '0' && c <= '9':
			r |= rune(c - '0')
		case c >= 'a' && c <= 'f':
			r |= rune(c-'a') + 10
		case c >= 'A' && c <= 'F':
			r |= rune(c-'A') + 10
		default:
			return 0, false
		}
	}
	return r, true
}

// longestNumber bounds the work that one number makes: JavaScript and Go write
// a double in at most 25 characters.
const longestNumber = 32

// number reads a number. The result is the nearest double.
func (s *scanner) number() float64 {
	c := s.peek()
	if c != '-' && (c < '0' || c > '9') {
		s.want("a number")
		return 0
	}
	var (
		in       = s.in
		from     = s.pos
		i        = from
		mantissa uint64
		fraction int // digits after the point
	)
	if c == '-' {
		i++
	}
	digits := func() (n int) {
		for ; i < len(in) && in[i] >= '0' && in[i] <= '9'; i++ {
			mantissa = mantissa*10 + uint64(in[i]-'0')
			n++
		}
		return n
	}
	first := i
	whole := digits()
	ok := whole > 0 && (whole == 1 || in[first] != '0')
	if i < len(in) && in[i] == '.' {
		i++
		fraction = digits()
		ok = ok && fraction > 0
	}
	exact := whole+fraction <= 15 // so many digits always fit 53 bits
	if i < len(in) && (in[i] == 'e' || in[i] == 'E') {
		exact = false
		i++
		if i < len(in) && (in[i] == '+' || in[i] == '-') {
			i++
		}
		ok = digits() > 0 && ok
	}
	switch {
	case !ok:
		s.fail(ReasonSyntax, "not a number of JSON")
		return 0
	case i-from > longestNumber:
		s.fail(ReasonRange, "a number of more than "+strconv.Itoa(longestNumber)+" characters")
		return 0
	}
	s.pos = i
	if exact { // both are exact doubles, so that their quotient is the nearest one (Clinger 1990)
		f := float64(mantissa) / powersOfTen[fraction]
		if c == '-' {
			f = -f
		}
		return f
	}
	f, err := strconv.ParseFloat(string(in[from:i]), 64)
	if err != nil || math.IsInf(f, 0) {
		s.fail(ReasonRange, "out of the range of a double")
		return 0
	}
	return f
}

var powersOfTen = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// integer reads a number from 0 to most that is written without fraction or
// exponent.
func (s *scanner) integer(most int64) int64 {
	c := s.peek()
	if c < '0' || c > '9' {
		if c == '-' {
			s.fail(ReasonRange, "want an integer from 0 to "+strconv.FormatInt(most, 10))
		} else {
			s.want("an integer")
		}
		return 0
	}
	from := s.pos
	var n int64
	i := from
	for ; i < len(s.in) && s.in[i] >= '0' && s.in[i] <= '9'; i++ {
		if n = n*10 + int64(s.in[i]-'0'); n > most {
			s.fail(ReasonRange, "want an integer from 0 to "+strconv.FormatInt(most, 10))
			return 0
		}
	}
	if i > from+1 && s.in[from] == '0' || i < len(s.in) && (s.in[i] == '.' || s.in[i] == 'e' || s.in[i] == 'E') {
		s.fail(ReasonType, "want an integer")
		return 0
	}
	s.pos = i
	return n
}
