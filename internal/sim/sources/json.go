package sources

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// maxRecord bounds a record of JSON in bytes, and all between two of them.
const maxRecord = 1 << 20

// window fails when more is read than a record may take, until it is opened
// again. What decodes ahead holds no more than it reads ahead.
type window struct {
	r    io.Reader
	left int
}

var errTooLarge = fmt.Errorf("a record is larger than %d bytes", maxRecord)

func (w *window) Read(p []byte) (int, error) {
	if w.left <= 0 {
		return 0, errTooLarge
	}
	n, err := w.r.Read(p[:min(len(p), w.left)])
	w.left -= n
	return n, err
}

func (w *window) open() { w.left = 2 * maxRecord } // for what is read ahead, too

// records calls each for every object in the arrays of a JSON text that is an
// array, or an object with arrays in it or in its objects: [record…],
// {"data": [record…]} or {"net": {"data": [record…]}}. Kind is the first name on
// the way to the array, at says where the record is.
func (f *file) records(text io.Reader, each func(kind, at string, v jsontext.Value) (stop bool)) error {
	w := &window{r: text}
	w.open()
	d := jsontext.NewDecoder(w, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	r := &walker{d: d, window: w, each: each}
	err := r.walk("", 0)
	if err == nil && !r.stop {
		if _, end := d.ReadToken(); !errors.Is(end, io.EOF) {
			err = errors.New("something follows the end")
		}
	}
	if err == nil {
		return nil
	}
	at := string(d.StackPointer())
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if errors.Is(err, errTooLarge) {
		err = errTooLarge
	}
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) && !errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%s at byte %d", strings.TrimPrefix(syntax.Err.Error(), "jsontext: "), syntax.ByteOffset)
	}
	f.broken(0, err)
	f.problems[len(f.problems)-1].At = at
	return f.problems
}

type walker struct {
	d      *jsontext.Decoder
	window *window
	each   func(kind, at string, v jsontext.Value) bool
	stop   bool
}

// walk takes a value apart that is inside of depth objects.
func (r *walker) walk(kind string, depth int) error {
	switch k := r.d.PeekKind(); {
	case k == '[':
		return r.array(kind)
	case k == '{' && depth < 2:
		if _, err := r.d.ReadToken(); err != nil {
			return err
		}
		for r.d.PeekKind() != '}' && !r.stop {
			r.window.open()
			name, err := r.d.ReadToken()
			if err != nil {
				return err
			}
			inner := kind
			if inner == "" {
				inner = name.String()
			}
			if err := r.walk(inner, depth+1); err != nil {
				return err
			}
		}
		if r.stop {
			return nil
		}
		_, err := r.d.ReadToken()
		return err
	case depth == 0 && k != 0:
		return errors.New("this is neither an object nor an array")
	default: // a value that says nothing here, or an error
		_, err := r.d.ReadValue()
		return err
	}
}

func (r *walker) array(kind string) error {
	if _, err := r.d.ReadToken(); err != nil {
		return err
	}
	for r.d.PeekKind() != ']' && !r.stop {
		r.window.open()
		object := r.d.PeekKind() == '{'
		v, err := r.d.ReadValue()
		if err != nil {
			return err
		}
		if object {
			if !utf8.Valid(v) {
				v = jsontext.Value(latin1(string(v)))
			}
			r.stop = r.each(kind, string(r.d.StackPointer()), v)
		}
	}
	if r.stop {
		return nil
	}
	_, err := r.d.ReadToken()
	return err
}

// problemAt is problem for a record of JSON.
func (f *file) problemAt(at, format string, args ...any) (stop bool) {
	f.problems = append(f.problems, Problem{File: f.name, At: at, Msg: fmt.Sprintf(format, args...)})
	return len(f.problems) >= maxProblems
}
