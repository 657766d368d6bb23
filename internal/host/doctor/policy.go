package doctor

// Words of policy.mode, see mfa.toml(5).
const (
	modeOff      = "off"
	modeRequired = "required"
)
