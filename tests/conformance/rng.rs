//! A reproducible random number generator, and texts and numbers that often cause errors.

/// A `SplitMix64` generator (Steele, Lea, Flood 2014). Every seed is valid, including 0.
#[derive(Debug, Clone)]
pub(super) struct TestRng(u64);

/// Valid names: case folding, scripts, combining marks, and characters that are special in SQL, JSON and paths.
const NAMES: &[&str] = &[
    "Kettle",
    "kettle",
    "KETTLE",
    "Mug",
    "Plate",
    "a",
    "Z",
    "zebra",
    "Crème brûlée",
    "CRE\u{300}ME BRU\u{302}LE\u{301}E",
    "creme brulee",
    "Straße",
    "STRASSE",
    "İstanbul",
    "ısı",
    "ΟΔΥΣΣΕΥΣ",
    "ὀδυσσεύς",
    "Ёлка",
    "ёлка",
    "हिन्दी",
    "日本語",
    "ｆｕｌｌ ｗｉｄｔｈ",
    "ﬁne",
    "ﷺ",
    "㌔㌢㌘",
    "한국어",
    "한국어",
    "👩\u{200d}👩\u{200d}👧",
    "🏳️\u{200d}🌈",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
    "O'Neil",
    "\"quoted\"",
    "100%",
    "a_b",
    "back\\slash",
    "<b>bold</b>",
    "{{7*7}}",
    "'; DROP TABLE products; --",
    "$1 ?1 ?2",
    "NULL",
    "{strict} TEXT",
    "item",
    "item-2",
    "-",
    "...",
    "a/b?c#d",
    "=1+1",
    "\u{301}\u{302}",
    "\u{200b}",
    "\u{feff}bom",
    "\u{202e}right to left",
    "\u{fffd}",
    "\u{e000}",
    "\u{fffe}",
    "\u{10ffff}",
    "\u{ffff}",
    "\u{d7ff}",
];

/// Texts that are invalid in some fields: empty, control characters, surrounding whitespace.
const UNUSUAL_TEXTS: &[&str] = &[
    "",
    " ",
    "\0",
    "a\0b",
    "\0\0",
    "\u{1}",
    "\t",
    "line\nbreak",
    "\r\n",
    "\u{1b}[31m",
    "\u{7f}",
    "\u{85}",
    "\u{9f}",
    "\u{a0}",
    "\u{2028}",
    " padded ",
    "\u{3000}wide\u{3000}",
];

/// JSON values for number fields: valid, at the limits, and no numbers at all.
pub(super) const NUMBERS: &[&str] = &[
    "0",
    "1",
    "2",
    "7",
    "-1",
    "-0",
    "1.0",
    "1.5",
    "1e3",
    "1e400",
    "1000",
    "1001",
    "2147483647",
    "2147483648",
    "1000000000",
    "1000000001",
    "-1000000000",
    "-1000000001",
    "100000000000",
    "100000000001",
    "9007199254740991",
    "9007199254740992",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "\"5\"",
    "\"\"",
    "null",
    "true",
    "[]",
    "{}",
    "01",
    "+1",
    "NaN",
];

impl TestRng {
    pub(super) fn new(seed: u64) -> TestRng {
        TestRng(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number from 0 to `bound`, exclusive.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    /// Returns a number from `start` to `end`, exclusive.
    pub(super) fn between(&mut self, start: usize, end: usize) -> usize {
        start + self.below(end - start)
    }

    /// Returns `true` with a probability of 1 in `times`.
    pub(super) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// Returns an item of a non-empty slice.
    pub(super) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    /// Returns a clone of an item, or `None` if there is none.
    pub(super) fn choose<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        (!from.is_empty()).then(|| from[self.below(from.len())].clone())
    }

    /// Returns a text, usually a valid name.
    pub(super) fn text(&mut self) -> String {
        match self.below(16) {
            0..=8 => self.pick(NAMES).to_owned(),
            9..=11 => format!("{} {}", self.pick(NAMES), self.pick(NAMES)),
            12 if self.one_in(4) => self.chars(196, 202),
            12 => self.chars(1, 24),
            13 => {
                let length = [199, 200, 201, 255][self.below(4)];
                let word = self.pick(NAMES);
                word.chars().cycle().take(length).collect()
            }
            14 => format!("{}{}", self.pick(NAMES), self.pick(UNUSUAL_TEXTS)),
            _ => self.pick(UNUSUAL_TEXTS).to_owned(),
        }
    }

    /// Returns characters of a random Unicode range: a script, characters that grow under case folding, or all.
    pub(super) fn chars(&mut self, min: usize, end: usize) -> String {
        const RANGES: [(u32, u32); 7] = [
            (0x20, 0x7f),
            (0xa0, 0x250),
            (0x3300, 0x3358),
            (0xfb50, 0xfdfc),
            (0x1_f000, 0x1_fb00),
            (0x2_0000, 0x2_a6df),
            (0, 0x11_0000),
        ];
        let count = self.between(min, end);
        let (first, end) = RANGES[self.below(RANGES.len())];
        let [first, end] = [first, end].map(|code_point| usize::try_from(code_point).unwrap());
        let chars = std::iter::repeat_with(|| {
            char::from_u32(u32::try_from(self.between(first, end)).unwrap())
        });
        chars.flatten().take(count).collect()
    }

    /// Returns up to three lines of text; sometimes a text near the maximum length.
    pub(super) fn long_text(&mut self) -> String {
        if self.one_in(40) {
            let length = [9_999, 10_000, 10_001][self.below(3)];
            return self.pick(NAMES).chars().cycle().take(length).collect();
        }
        let lines = self.below(4);
        let lines: Vec<_> = (0..lines).map(|_| self.text()).collect();
        lines.join("\n")
    }

    /// Returns a text as JSON; sometimes invalid surrogates, NUL or a number instead.
    pub(super) fn json_text(&mut self, text: &str) -> String {
        match self.below(60) {
            0 => "\"\\ud800\"".to_owned(),
            1 => format!("\"{}\\udc00\\ud83d\"", "x".repeat(self.below(3))),
            2 => "\"\\u0000\"".to_owned(),
            3 => self.pick(NUMBERS).to_owned(),
            _ => serde_json::to_string(text).unwrap(),
        }
    }
}

/// Percent-encodes all but the unreserved characters (RFC 3986); encodes `~`, too.
pub(super) fn percent_encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_' | b'.' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02x}"),
        })
        .collect()
}

/// Returns a JSON object. The values are JSON already.
pub(super) fn json_object(members: &[(&str, String)]) -> String {
    let members = members
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value}"));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}
