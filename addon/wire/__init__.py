"""What each side says: the types and codecs of both APIs, without decisions."""
