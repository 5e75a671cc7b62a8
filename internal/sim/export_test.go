package sim

// What the tests of package sim_test share.
var (
	Story        = story
	LoadFleet    = loadFleet
	PlainOptions = plainOptions
)
