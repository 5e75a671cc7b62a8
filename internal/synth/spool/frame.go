package spool

import (
	"bufio"
	"encoding/binary"
	"hash/crc32"
	"io"
	"os"
)

// A frame is a record's length and CRC-32C, each 32 bits, little-endian, and
// the record. No record is empty, so a file of zeros (as some file systems
// leave after a power failure) holds no frames.
const frameHead = 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func appendFrame(dst, record []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(record)))
	dst = binary.LittleEndian.AppendUint32(dst, crc32.Checksum(record, castagnoli))
	return append(dst, record...)
}

// readFrames calls use with every good frame of r and the offset behind it,
// until use returns false or the first frame that is not good. The record is
// only good during the call.
func readFrames(r io.Reader, offset int64, use func(record []byte, end int64) bool) {
	in := bufio.NewReaderSize(r, 64<<10)
	var head [frameHead]byte
	var buf []byte
	for {
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return
		}
		n := binary.LittleEndian.Uint32(head[:])
		if n == 0 || n > MaxRecord {
			return
		}
		if int(n) > cap(buf) {
			buf = make([]byte, n)
		}
		buf = buf[:n]
		if _, err := io.ReadFull(in, buf); err != nil {
			return
		}
		if crc32.Checksum(buf, castagnoli) != binary.LittleEndian.Uint32(head[4:]) {
			return
		}
		offset += frameHead + int64(n)
		if !use(buf, offset) {
			return
		}
	}
}

// frames reads a segment's frames from offset on.
func (s *Spool) frames(g *segment, offset int64, use func(record []byte, end int64) bool) error {
	f, err := os.Open(s.path(g.number))
	if err != nil {
		return err
	}
	defer f.Close()
	if offset >= g.size {
		return nil
	}
	readFrames(io.NewSectionReader(f, offset, g.size-offset), offset, use)
	return nil
}
