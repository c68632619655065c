package proof

// The parts of a check that come after the signature, which takes most of the
// time: the tests of many millions of proofs look for a mistake in these.
var (
	Includes = includes
	Extends  = extends
)
