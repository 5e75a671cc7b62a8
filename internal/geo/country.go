package geo

import "strings"

// Countries by continent: every code of ISO 3166-1, with the continent that
// GeoNames gives it (which the MaxMind files follow), and XK, the
// user-assigned code under which they carry Kosovo.
const countries = `
AF AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG EH ER ET GA GH GM GN GQ GW KE KM LR LS LY MA MG ML MR MU MW MZ NA NE NG RE RW SC SD SH SL SN SO SS ST SZ TD TG TN TZ UG YT ZA ZM ZW
AN AQ BV GS HM TF
AS AE AF AM AZ BD BH BN BT CC CN GE HK ID IL IN IO IQ IR JO JP KG KH KP KR KW KZ LA LB LK MM MN MO MV MY NP OM PH PK PS QA SA SG SY TH TJ TM TR TW UZ VN YE
EU AD AL AT AX BA BE BG BY CH CY CZ DE DK EE ES FI FO FR GB GG GI GR HR HU IE IM IS IT JE LI LT LU LV MC MD ME MK MT NL NO PL PT RO RS RU SE SI SJ SK SM UA VA XK
NA AG AI AW BB BL BM BQ BS BZ CA CR CU CW DM DO GD GL GP GT HN HT JM KN KY LC MF MQ MS MX NI PA PM PR SV SX TC TT US VC VG VI
OC AS AU CK CX FJ FM GU KI MH MP NC NF NR NU NZ PF PG PN PW SB TK TL TO TV UM VU WF WS
SA AR BO BR CL CO EC FK GF GY PE PY SR UY VE
`

// Continents lists the continent codes.
const Continents = "AF AN AS EU NA OC SA"

var continentByCode = continentTable()

func continentTable() (table [26 * 26]string) {
	for line := range strings.Lines(strings.TrimSpace(countries)) {
		codes := strings.Fields(line)
		for _, country := range codes[1:] {
			i, _ := codeIndex(country)
			table[i] = codes[0]
		}
	}
	return table
}

// codeIndex numbers the codes of two capital letters.
func codeIndex(code string) (int, bool) {
	if len(code) != 2 || code[0] < 'A' || code[0] > 'Z' || code[1] < 'A' || code[1] > 'Z' {
		return 0, false
	}
	return int(code[0]-'A')*26 + int(code[1]-'A'), true
}

// ContinentOf returns the continent of a country, or false when there is no
// such country. Country is an ISO 3166-1 alpha-2 code in capitals, or XK
// (Kosovo).
func ContinentOf(country string) (continent string, ok bool) {
	i, ok := codeIndex(country)
	if !ok || continentByCode[i] == "" {
		return "", false
	}
	return continentByCode[i], true
}

// IsContinent reports whether code is one of Continents.
func IsContinent(code string) bool {
	_, ok := codeIndex(code)
	return ok && strings.Contains(Continents, code)
}
