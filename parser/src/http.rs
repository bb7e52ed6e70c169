//! HTTP/1.1 request and response heads: zero-copy, partial input, limits (RFC 9112).
