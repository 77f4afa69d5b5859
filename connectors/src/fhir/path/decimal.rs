//! Decimal numbers as FHIR writes them: digits and a scale, exact in sums, products and comparisons.

use std::cmp::Ordering;
use std::fmt;

/// `digits / 10^scale`. 1.0 and 1.00 are equal and differ in what they claim to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decimal {
    digits: i128,
    scale: u32,
}

/// Digits behind the point of a quotient.
const QUOTIENT_SCALE: u32 = 16;
/// Larger scales and exponents do not fit anyway.
const MOST_SCALE: u32 = 36;

impl Decimal {
    /// Reads what JSON calls a number. `None` when it has more digits than fit.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let (negative, whole) = whole.strip_prefix('-').map_or((false, whole), |whole| (true, whole));
        let digits = whole.bytes().chain(fraction.bytes()).try_fold(0_i128, |digits, byte| {
            let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
            digits.checked_mul(10)?.checked_add(i128::from(digit))
        })?;
        let digits = if negative { -digits } else { digits };
        let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        match u32::try_from(scale) {
            Ok(scale) => (scale <= MOST_SCALE).then_some(Self { digits, scale }),
            Err(_) => Some(Self { digits: digits.checked_mul(power(scale.unsigned_abs())?)?, scale: 0 }),
        }
    }

    pub(super) fn add(self, other: Self) -> Option<Self> {
        let (a, b, scale) = self.aligned(other)?;
        Some(Self { digits: a.checked_add(b)?, scale })
    }

    pub(super) fn subtract(self, other: Self) -> Option<Self> {
        self.add(other.negated())
    }

    pub(super) fn multiply(self, other: Self) -> Option<Self> {
        let scale = Some(self.scale + other.scale).filter(|scale| *scale <= MOST_SCALE)?;
        Some(Self { digits: self.digits.checked_mul(other.digits)?, scale })
    }

    /// The quotient to 16 digits behind the point, halves away from zero. `None` by zero.
    pub(super) fn divide(self, other: Self) -> Option<Self> {
        let shift = QUOTIENT_SCALE.checked_add(other.scale)?.checked_sub(self.scale)?;
        let dividend = self.digits.checked_mul(power(shift)?)?;
        let quotient = dividend.checked_div(other.digits)?;
        let rest = dividend.checked_rem(other.digits)?;
        let is_half = rest.unsigned_abs() >= other.digits.unsigned_abs().div_ceil(2);
        let away = if (dividend < 0) == (other.digits < 0) { 1 } else { -1 };
        let digits = if is_half { quotient.checked_add(away)? } else { quotient };
        Some(Self { digits, scale: QUOTIENT_SCALE }.trimmed())
    }

    pub(super) fn negated(self) -> Self {
        Self { digits: -self.digits, ..self }
    }

    /// The number half a step of its last digit away: what it may have been before it was rounded.
    pub(super) fn half_step(self, up: bool) -> Option<Self> {
        let digits = self.digits.checked_mul(10)?.checked_add(if up { 5 } else { -5 })?;
        Some(Self { digits, scale: self.scale + 1 })
    }

    /// The integer that it is.
    pub(crate) fn integer(self) -> Option<i64> {
        let trimmed = self.trimmed();
        (trimmed.scale == 0).then(|| i64::try_from(trimmed.digits).ok()).flatten()
    }

    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        self.aligned(other).map(|(a, b, _)| a.cmp(&b))
    }

    /// Both numbers in digits of one scale.
    fn aligned(self, other: Self) -> Option<(i128, i128, u32)> {
        let scale = self.scale.max(other.scale);
        let digits = |number: Self| number.digits.checked_mul(power(scale - number.scale)?);
        Some((digits(self)?, digits(other)?, scale))
    }

    /// Without zeros at the end.
    fn trimmed(mut self) -> Self {
        while self.scale > 0 && self.digits % 10 == 0 {
            self.digits /= 10;
            self.scale -= 1;
        }
        self
    }
}

impl From<i64> for Decimal {
    fn from(number: i64) -> Self {
        Self { digits: number.into(), scale: 0 }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.digits < 0 { "-" } else { "" };
        let digits = self.digits.unsigned_abs();
        let unit = power(self.scale).unwrap_or(1).unsigned_abs();
        write!(f, "{sign}{}", digits / unit)?;
        let width = self.scale as usize;
        if width > 0 { write!(f, ".{:0width$}", digits % unit) } else { Ok(()) }
    }
}

fn power(exponent: u32) -> Option<i128> {
    10_i128.checked_pow(exponent)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    proptest! {
        #[test]
        fn digits_and_scale_read_back(digits: i64, scale in 0_u32..20) {
            let decimal = Decimal { digits: digits.into(), scale };
            let again = number(&decimal.to_string());
            prop_assert_eq!((again.digits, again.scale), (decimal.digits, decimal.scale));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "[-+0-9.eE]{0,60}") {
            let _ = Decimal::parse(&text);
        }
    }

    #[test]
    fn sums_and_products_are_exact() {
        assert_eq!(number("0.1").add(number("0.2")).unwrap().to_string(), "0.3");
        assert_eq!(number("1.10").multiply(number("-3")).unwrap().to_string(), "-3.30");
        assert_eq!(
            number("0.3").subtract(number("0.1")).unwrap().compare(number("0.2")),
            Some(Ordering::Equal)
        );
    }

    #[test]
    fn quotients_are_rounded_and_zero_divides_nothing() {
        for (a, b, quotient) in [
            ("3", "2", "1.5"),
            ("1", "3", "0.3333333333333333"),
            ("2", "3", "0.6666666666666667"),
            ("-2", "3", "-0.6666666666666667"),
            ("0.001", "4", "0.00025"),
            ("6", "3", "2"),
        ] {
            assert_eq!(number(a).divide(number(b)).unwrap().to_string(), quotient);
        }
        assert!(number("1").divide(number("0.0")).is_none());
    }

    #[test]
    fn exponents_move_the_point_and_numbers_beyond_38_digits_are_none() {
        assert_eq!(number("1.50E2").to_string(), "150");
        assert_eq!(number("15e-3").to_string(), "0.015");
        for text in ["1e400", "1e-400", "1e99999999999", "9".repeat(40).as_str(), "-"] {
            assert!(Decimal::parse(text).is_none() || text == "-", "{text}");
        }
    }

    #[test]
    fn half_a_step_shows_what_a_number_claims_to_know() {
        for (text, low, high) in [("1.0", "0.95", "1.05"), ("1", "0.5", "1.5"), ("-1.50", "-1.505", "-1.495")]
        {
            assert_eq!(number(text).half_step(false).unwrap().to_string(), low);
            assert_eq!(number(text).half_step(true).unwrap().to_string(), high);
        }
    }
}
