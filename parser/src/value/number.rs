//! When two numbers are the same number, however they are kept.

use super::Value;

impl Value<'_> {
    /// Whether both are the same boolean, number or text, or both null. Two containers are not compared.
    pub(super) fn is_same_scalar(&self, other: &Value<'_>) -> bool {
        match (*self, *other) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::UInt(a), Value::UInt(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a == b,
            (Value::Float(float), Value::Int(whole)) | (Value::Int(whole), Value::Float(float)) => {
                is_same(whole.into(), float)
            }
            (Value::Float(float), Value::UInt(whole)) | (Value::UInt(whole), Value::Float(float)) => {
                is_same(whole.into(), float)
            }
            _ => false,
        }
    }
}

/// Exact: 2^53 + 1 is no float.
fn is_same(whole: i128, float: f64) -> bool {
    // The cast saturates, far outside of what 64 bits hold, and drops a fraction.
    float as i128 == whole && float as i128 as f64 == float
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_by_what_they_are() {
        let same = |a: Value<'_>, b: Value<'_>| {
            assert_eq!(a.is_same_scalar(&b), b.is_same_scalar(&a));
            a.is_same_scalar(&b)
        };
        assert!(same(Value::Int(1), Value::Float(1.0)));
        assert!(same(Value::Int(0), Value::Float(-0.0)));
        assert!(same(Value::UInt(1 << 63), Value::Float(9223372036854775808.0)));
        assert!(!same(Value::Int(1), Value::Float(1.5)));
        assert!(!same(Value::Int((1 << 53) + 1), Value::Float(9007199254740992.0)));
        assert!(!same(Value::Int(i64::MAX), Value::Float(9223372036854775808.0)));
        assert!(!same(Value::Float(f64::NAN), Value::Float(f64::NAN)));
        assert!(!same(Value::Int(0), Value::Null));
    }
}
