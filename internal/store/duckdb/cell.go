package duckdb

import "catchment/internal/edge"

// cellColumns are the columns of a cell, which all files have. The day is the
// segment's.
type cellColumns struct {
	continent, country, subdivision column[string]
	asn, family                     column[uint32]
}

func newCellColumns(names interner) cellColumns {
	return cellColumns{
		continent: textColumn(names), country: textColumn(names), subdivision: textColumn(names),
		asn: uint32Column(), family: uint32Column(),
	}
}

func (c *cellColumns) fields() []field {
	return []field{
		{"continent", &c.continent},
		{"country", &c.country},
		{"subdivision", &c.subdivision},
		{"asn", &c.asn},
		{"family", &c.family},
	}
}

func (c *cellColumns) cell(day edge.Day, i int) edge.Cell {
	return edge.Cell{
		Day:         day,
		Continent:   c.continent.values[i],
		Country:     c.country.values[i],
		Subdivision: c.subdivision.values[i],
		ASN:         c.asn.values[i],
		Family:      uint8(c.family.values[i]),
	}
}

// servedColumns are the PoPs that answered under the schemes.
type servedColumns [len(edge.Schemes)]column[string]

func newServedColumns(names interner) (s servedColumns) {
	for i := range s {
		s[i] = textColumn(names)
	}
	return s
}

func (s *servedColumns) fields() []field {
	var list []field
	for i, scheme := range edge.Schemes {
		list = append(list, field{string(scheme), &s[i]})
	}
	return list
}

func (s *servedColumns) at(i int) (served [len(edge.Schemes)]edge.PoPID) {
	for k := range s {
		served[k] = edge.PoPID(s[k].values[i])
	}
	return served
}
