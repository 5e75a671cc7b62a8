package generate

// tierOne is a carrier that buys transit from nobody: who they are decides
// most about catchments, so they are a table, whatever the seed and the size.
// Their reach is modeled on what the real ones publish: some are on every
// continent, most at home on one or two.
type tierOne struct {
	name, country string
	metros        [6]int // in how many metros of AF, AS, EU, NA, OC, SA: the largest hubs
}

var tierOnes = [...]tierOne{
	{"Albatross Backbone", "US", [6]int{4, 14, 30, 60, 4, 10}},
	{"Heron Carrier", "US", [6]int{0, 8, 20, 70, 1, 4}},
	{"Osprey Global", "US", [6]int{2, 6, 35, 60, 2, 4}},
	{"Arctic Tern Carrier", "SE", [6]int{0, 6, 45, 30, 0, 1}},
	{"Kestrel Longhaul", "GB", [6]int{8, 8, 35, 15, 2, 0}},
	{"Condor International", "ES", [6]int{0, 0, 12, 10, 0, 25}},
	{"Crane Pacific", "JP", [6]int{0, 22, 8, 20, 4, 1}},
	{"Kingfisher Global", "IN", [6]int{6, 25, 15, 15, 0, 0}},
	{"Pelican Americas", "US", [6]int{0, 0, 4, 35, 0, 22}},
	{"Stork Backbone", "DE", [6]int{0, 6, 45, 15, 0, 0}},
	{"Lark International", "FR", [6]int{15, 4, 30, 12, 0, 2}},
	{"Ibis Seaways", "IT", [6]int{8, 6, 25, 8, 0, 6}},
	{"Petrel Networks", "US", [6]int{0, 0, 4, 40, 0, 6}},
	{"Swift Asia", "HK", [6]int{3, 25, 8, 10, 4, 0}},
	{"Gannet Carrier", "US", [6]int{0, 4, 18, 50, 0, 0}},
}

// continentNames are in the order of tierOne.metros.
var continentNames = [6]string{"AF", "AS", "EU", "NA", "OC", "SA"}

// hubs are the cities where networks meet far beyond the size of the city,
// with a rough measure of how many do, in hundreds of networks. Orders of
// magnitude of the membership lists that exchanges publish, recalled, not
// copied.
const hubs = `
Frankfurt DE 11, Amsterdam NL 10, London GB 10, Paris FR 6, Stockholm SE 3, Madrid ES 3, Milan IT 4, Marseille FR 2, Vienna AT 2, Zürich CH 3,
Prague CZ 2, Warsaw PL 4, Bucharest RO 2, Sofia BG 2, Copenhagen DK 2, Dublin IE 2, Moscow RU 6, Saint Petersburg RU 2, Kyiv UA 3, Berlin DE 2, Hamburg DE 1, Düsseldorf DE 2,
Munich DE 2, Manchester GB 1, Lisbon PT 1, Oslo NO 1, Helsinki FI 1, Brussels BE 1, Geneva CH 1, Budapest HU 1, Athens GR 1, Istanbul TR 2,
Washington US 7, New York US 6, Chicago US 5, Dallas US 5, Los Angeles US 5, San Jose US 5, Seattle US 4, Miami US 4, Atlanta US 4, Denver US 2,
Phoenix US 2, Houston US 1, Minneapolis US 1, Boston US 1, San Francisco US 2, Portland US 1, Salt Lake City US 1, Kansas City US 1, Toronto CA 3, Montréal CA 1, Vancouver CA 1, Mexico City MX 1,
São Paulo BR 20, Rio de Janeiro BR 5, Fortaleza BR 5, Porto Alegre BR 3, Curitiba BR 2, Salvador BR 2, Brasília BR 2, Belo Horizonte BR 1, Buenos Aires AR 3, Santiago CL 2, Bogotá CO 2, Lima PE 1, Panama City PA 1,
Singapore SG 6, Hong Kong HK 5, Tokyo JP 5, Osaka JP 2, Seoul KR 2, Mumbai IN 6, Chennai IN 3, Delhi IN 3, Jakarta ID 8, Kuala Lumpur MY 2, Bangkok TH 2, Hanoi VN 1, Ho Chi Minh City VN 1,
Taipei TW 1, Manila PH 1, Dubai AE 2, Dhaka BD 2, Karachi PK 1, Beijing CN 2, Shanghai CN 2, Guangzhou CN 2, Almaty KZ 1,
Johannesburg ZA 5, Cape Town ZA 3, Nairobi KE 2, Lagos NG 2, Cairo EG 1, Djibouti DJ 1, Sydney AU 5, Melbourne AU 3, Perth AU 2, Brisbane AU 2, Auckland NZ 2
`
