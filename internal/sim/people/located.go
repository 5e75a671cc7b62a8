package people

import "catchment/internal/sim"

// Located appends a group's askers to buf[:0], in the order of Askers, as the
// simulator steers them.
func (p *Population) Located(buf []sim.Located, group int) []sim.Located {
	var room [6 + Blocks]Asker
	buf = buf[:0]
	for _, a := range p.AppendAskers(room[:0], group) {
		buf = append(buf, sim.Located{Share: a.Share, At: a.Located})
	}
	return buf
}
