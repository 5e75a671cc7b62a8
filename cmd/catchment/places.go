package main

import "flag"

// placeFlags are the flags that say where addresses are.
type placeFlags struct {
	files     stringList
	overrides string
}

func (p *placeFlags) register(fs *flag.FlagSet) {
	fs.Var(&p.files, "geo", "MaxMind-format `file` of places; repeatable, later ones fill gaps")
	fs.StringVar(&p.overrides, "places", "", "`file` of places by prefix (CSV), which wins over --geo")
}
