"""The version of this code; CHANGELOG.md says what each brought."""

VERSION = "0.1.0"
