//! Rng that can be had again, and the texts and numbers that shops stumble over.

/// `SplitMix64` (Steele, Lea, Flood 2014): any seed will do, 0 too.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

/// What stands in names: folding, case, scripts, marks, what SQL, JSON and paths make much of.
const WORDS: &[&str] = &[
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

/// What is not to be in a name, in a text or anywhere.
const SPICE: &[&str] = &[
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

/// Numbers as JSON writes them: right, at the edges, and none at all.
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

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0, below `bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    /// As [`Dice::below`], from `least` on.
    pub(super) fn from(&mut self, least: usize, bound: usize) -> usize {
        least + self.below(bound - least)
    }

    pub(super) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(super) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    /// Any of them, if there is one.
    pub(super) fn any<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        (!from.is_empty()).then(|| from[self.below(from.len())].clone())
    }

    /// A text, mostly one that could be a name.
    pub(super) fn text(&mut self) -> String {
        match self.below(16) {
            0..=8 => self.pick(WORDS).to_owned(),
            9..=11 => format!("{} {}", self.pick(WORDS), self.pick(WORDS)),
            12 if self.once_in(4) => self.letters(196, 202),
            12 => self.letters(1, 24),
            13 => {
                let length = [199, 200, 201, 255][self.below(4)];
                let word = self.pick(WORDS);
                word.chars().cycle().take(length).collect()
            }
            14 => format!("{}{}", self.pick(WORDS), self.pick(SPICE)),
            _ => self.pick(SPICE).to_owned(),
        }
    }

    /// Letters of one part of Unicode, of those that grow when they are folded, or of all.
    pub(super) fn letters(&mut self, least: usize, bound: usize) -> String {
        const PARTS: [(u32, u32); 7] = [
            (0x20, 0x7f),
            (0xa0, 0x250),
            (0x3300, 0x3358),
            (0xfb50, 0xfdfc),
            (0x1_f000, 0x1_fb00),
            (0x2_0000, 0x2_a6df),
            (0, 0x11_0000),
        ];
        let count = self.from(least, bound);
        let (first, end) = PARTS[self.below(PARTS.len())];
        let [first, end] = [first, end].map(|letter| usize::try_from(letter).unwrap());
        let letters = std::iter::repeat_with(|| {
            char::from_u32(u32::try_from(self.from(first, end)).unwrap())
        });
        letters.flatten().take(count).collect()
    }

    /// Several lines, now and then as long as may be or longer.
    pub(super) fn long_text(&mut self) -> String {
        if self.once_in(40) {
            let length = [9_999, 10_000, 10_001][self.below(3)];
            return self.pick(WORDS).chars().cycle().take(length).collect();
        }
        let lines = self.below(4);
        let lines: Vec<_> = (0..lines).map(|_| self.text()).collect();
        lines.join("\n")
    }

    /// A text as JSON; now and then what no text can be.
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

/// Every byte that is no letter or digit as `%XX`.
pub(super) fn percent(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_' | b'.' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02x}"),
        })
        .collect()
}

/// A JSON object of members that are JSON already.
pub(super) fn object(members: &[(&str, String)]) -> String {
    let members = members
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value}"));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}
