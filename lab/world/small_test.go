package world

// small has a carrier and an access network on each of three continents, and
// four PoPs.
const small = `
networks:
  - {id: cna, asn: 64501, continent: NA, country: US, lat: 39, lon: -90}
  - {id: ceu, asn: 64502, continent: EU, country: DE, lat: 50, lon: 9}
  - {id: cas, asn: 64503, continent: AS, country: JP, lat: 35, lon: 139}
  - {id: us1, asn: 64511, continent: NA, country: US, lat: 40, lon: -75}
  - {id: de1, asn: 64513, continent: EU, country: DE, lat: 52, lon: 13}
  - {id: jp1, asn: 64514, continent: AS, country: JP, lat: 35, lon: 136}
links:
  - {from: cna, to: ceu, peer: true, rtt: 20ms}
  - {from: cna, to: cas, peer: true, rtt: 30ms}
  - {from: ceu, to: cas, peer: true, rtt: 40ms}
  - {from: us1, to: cna, rtt: 4ms}
  - {from: de1, to: ceu, rtt: 4ms}
  - {from: jp1, to: cas, rtt: 4ms}
pops:
  - {id: iad, at: [us1], country: US, lat: 38.95, lon: -77.45, rtt: 1ms}
  - {id: lax, at: [cna], country: US, lat: 33.94, lon: -118.4, rtt: 6ms}
  - {id: fra, at: [ceu], country: DE, lat: 50.03, lon: 8.57, rtt: 1ms}
  - {id: nrt, at: [cas], country: JP, lat: 35.76, lon: 140.39, rtt: 1ms}
regions:
  - {id: americas, continents: [NA, SA], pops: [iad, lax]}
  - {id: emea, continents: [EU, AF], pops: [fra]}
  - {id: apac, continents: [AS, OC], pops: [nrt]}
hosts:
  - {id: control, at: ceu, rtt: 1ms}
  - {id: ns1, at: ceu, rtt: 1ms}
  - {id: ns2, at: cna, rtt: 1ms}
  - {id: alice, at: us1, rtt: 2ms}
  - {id: clara, at: de1, rtt: 2ms}
  - {id: daiki, at: jp1, rtt: 2ms}
`
