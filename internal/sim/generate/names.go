package generate

import (
	"fmt"

	"catchment/internal/sim/noise"
)

// Names are invented: a plant, an animal or a stone, and what the network
// does. They hang on the AS number alone.
var words = [...]string{
	"Acacia", "Alder", "Antelope", "Aspen", "Badger", "Bamboo", "Basalt", "Beech", "Bison", "Bluebell", "Bramble", "Buckthorn", "Camellia",
	"Caribou", "Cedar", "Chamois", "Chestnut", "Clover", "Cobalt", "Coral", "Cormorant", "Cottonwood", "Coyote", "Curlew", "Cypress", "Dolphin",
	"Dune", "Eider", "Elder", "Falcon", "Fennel", "Fern", "Finch", "Foxglove", "Gazelle", "Gentian", "Ginkgo", "Granite", "Grouse", "Gull",
	"Hawthorn", "Hazel", "Heather", "Hemlock", "Heron", "Hickory", "Ibex", "Iris", "Jackal", "Jasmine", "Kestrel", "Lapwing", "Larch", "Lichen",
	"Linden", "Lynx", "Magnolia", "Mangrove", "Maple", "Marten", "Meadow", "Mesquite", "Mica", "Mulberry", "Myrtle", "Narwhal", "Nettle", "Nutmeg",
	"Oak", "Ocelot", "Olive", "Onyx", "Orchid", "Otter", "Palm", "Pebble", "Petrel", "Pine", "Plover", "Poplar", "Puffin", "Quail",
	"Quartz", "Rowan", "Saffron", "Sage", "Sandpiper", "Sequoia", "Slate", "Sorrel", "Sparrow", "Spruce", "Starling", "Sycamore", "Tamarind", "Teal",
	"Thrush", "Thyme", "Tundra", "Walnut", "Warbler", "Willow", "Wren", "Yarrow", "Yew", "Zinnia",
}

var trades = [...][]string{
	International: {"Transit", "International", "Carrier", "Longhaul"},
	Carrier:       {"Backhaul", "Wholesale", "Carrier", "Wave"},
	Regional:      {"Cable", "Fiber", "Broadband", "Telephone", "Net"},
	Local:         {"Fiber", "Wireless", "Net", "Cable", "Online"},
	Content:       {"Video", "Hosting", "Cloud", "Media", "CDN"},
	Enterprise:    {"Bank", "University", "Hospital", "Logistics", "Insurance", "Works", "Foods", "Studio", "Software", "City Council", "Retail"},
}

// nameOf invents a name for a network whose home is in a city.
func nameOf(kind Kind, asn uint32, city string) string {
	bits := noise.At(marketSeed, noise.Market, uint64(asn))
	word := words[noise.Pick(bits, len(words))]
	trade := trades[kind][noise.Pick(bits<<20, len(trades[kind]))]
	switch kind {
	case Regional, Local, Enterprise:
		return fmt.Sprintf("%s %s %s", city, word, trade)
	default:
		return fmt.Sprintf("%s %s", word, trade)
	}
}

// nationalName invents a name for a country's i-th access network, another for
// each of them.
func nationalName(country string, i int, mobile bool) string {
	at := noise.Pick(noise.At(marketSeed, noise.Market, noise.String(country)), len(words))
	trade := "Telecom"
	switch {
	case mobile:
		trade = "Mobile"
	case i > 0:
		trade = "Broadband"
	}
	return fmt.Sprintf("%s %s %s", words[(at+13*i)%len(words)], trade, country)
}
