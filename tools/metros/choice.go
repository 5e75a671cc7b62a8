package main

import "strings"

// wellKnown is how many metros a country gets; others get one. It follows
// Internet users, with more where networks and PoPs are dense.
var wellKnown = map[string]int{
	"US": 71, "BR": 25, "IN": 28, "CN": 28, "DE": 11, "JP": 10, "GB": 9, "FR": 8, "IT": 9, "ES": 8,
	"CA": 10, "AU": 7, "MX": 8, "RU": 12, "ID": 8, "PL": 7, "NL": 3, "TR": 5, "SE": 3, "CH": 3, "BE": 2,
	"NG": 4, "ZA": 5, "EG": 2, "MA": 2, "PK": 5, "BD": 2, "VN": 4, "TH": 3, "PH": 4, "MY": 3, "KR": 3,
	"TW": 2, "IR": 4, "IQ": 2, "SA": 3, "AE": 2, "KZ": 2, "UA": 4, "RO": 2, "CZ": 2, "AT": 2, "PT": 2,
	"GR": 2, "HU": 1, "NO": 2, "FI": 2, "DK": 2, "IE": 2, "AR": 5, "CO": 5, "CL": 3, "PE": 3, "VE": 3,
	"EC": 2, "NZ": 2, "IL": 2, "KE": 2,
}

// everyState are the countries in which every first-level division has a metro.
var everyState = map[string]bool{"US": true}

// always are metros that are there whatever their size: where PoPs stand, or
// the name that a conurbation goes by. They are placed before all others.
var always = set(`
US San Jose, US Salt Lake City, US Nashville, US Honolulu, US Anchorage, US Hartford, US.VA Richmond, US Norfolk, US Spokane, US Tulsa
US Knoxville, US.NY Rochester, US.NY Albany, US Madison, US Reno, US McAllen, US.SC Charleston, US.WV Charleston, CA Halifax, IN Guwahati, IN Guwāhāti
GB Manchester, GB Leeds, GB Newcastle upon Tyne, GB Cardiff, GB Belfast, GB Edinburgh, DE Leipzig, DE Düsseldorf
FR Strasbourg, FR Marseille, CH Genève, CH Geneva, PL Wrocław, PL Poznań, PK Islamabad, IN Chandigarh, IN Cochin, IN Kochi, IN Bhubaneswar
CA Calgary, KE Mombasa, NG Abuja, CN Shenzhen, BR Campo Grande, BR Cuiabá, BR Florianópolis, AU Canberra
`)

// suburbs never are a metro of their own: their city is just beyond the radius.
var suburbs = set(`
US Crystal Lake, US Irvine, US West Babylon, US Coral Springs, US Princeton, US Lakewood, US Oceanside, US Ironville, US Stockton
US Newport News, US New Britain, US Bridgewater, US Ossining, US Aurora, US West Palm Beach, US Allentown, US Levittown, US Worcester, US Elgin, US Fairfield
BR Volta Redonda, BR Piracicaba, GB Burnley, GB Sunderland, NO Fredrikstad, VN Thủ Đức, NL Nijmegen, DE Bielefeld, FR Avignon
`)

func set(list string) map[string]bool {
	names := map[string]bool{}
	for _, name := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == '\n' }) {
		names[strings.TrimSpace(name)] = true
	}
	return names
}

// partOf are entries for parts of a city that the city's own population has.
var partOf = map[string]bool{
	"US Brooklyn": true, "US Queens": true, "US Manhattan": true, "US The Bronx": true, "US Staten Island": true,

	"PH Budta": true, "IN.10 Gorakhpur": true, // villages with a city's population
}

// rename are GeoNames' names that networks call otherwise.
var rename = map[string]string{
	"New York City": "New York", "Frankfurt am Main": "Frankfurt", "Genève": "Geneva", "Köln": "Cologne", "Quezon City": "Manila", "Panamá": "Panama City", "Washington, D.C.": "Washington", "Washington D.C.": "Washington",
}

// continents lists the countries by continent, as internal/geo has them.
var continents = strings.Fields(`
AF AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG EH ER ET GA GH GM GN GQ GW KE KM LR LS LY MA MG ML MR MU MW MZ NA NE NG RE RW SC SD SH SL SN SO SS ST SZ TD TG TN TZ UG YT ZA ZM ZW
.
AS AE AF AM AZ BD BH BN BT CC CN GE HK ID IL IN IO IQ IR JO JP KG KH KP KR KW KZ LA LB LK MM MN MO MV MY NP OM PH PK PS QA SA SG SY TH TJ TM TR TW UZ VN YE
.
EU AD AL AT AX BA BE BG BY CH CY CZ DE DK EE ES FI FO FR GB GG GI GR HR HU IE IM IS IT JE LI LT LU LV MC MD ME MK MT NL NO PL PT RO RS RU SE SI SJ SK SM UA VA XK
.
NA AG AI AW BB BL BM BQ BS BZ CA CR CU CW DM DO GD GL GP GT HN HT JM KN KY LC MF MQ MS MX NI PA PM PR SV SX TC TT US VC VG VI
.
OC AS AU CK CX FJ FM GU KI MH MP NC NF NR NU NZ PF PG PN PW SB TK TL TO TV UM VU WF WS
.
SA AR BO BR CL CO EC FK GF GY PE PY SR UY VE
.
`)

func continentOf(country string) string {
	continent := ""
	for _, word := range continents {
		switch {
		case word == ".":
			continent = ""
		case continent == "":
			continent = word
		case word == country:
			return continent
		}
	}
	return ""
}
