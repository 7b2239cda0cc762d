//! The products of the demo.

/// A product of the demo with a single variant.
pub(super) struct DemoProduct {
    pub(super) name: &'static str,
    pub(super) category: &'static str,
    /// The price in Indian rupees.
    pub(super) rupees: i64,
    pub(super) stock: i64,
    pub(super) image: DemoImage,
    pub(super) description: &'static str,
}

/// A product of the demo in several colours and sizes.
pub(super) struct DemoClothing {
    pub(super) name: &'static str,
    pub(super) category: &'static str,
    /// The price in Indian rupees.
    pub(super) rupees: i64,
    /// Each with its image and the stock of each size.
    pub(super) colours: &'static [(&'static str, DemoImage, &'static [i64])],
    pub(super) sizes: &'static [&'static str],
    pub(super) description: &'static str,
}

/// An illustration from `assets/demo`. SKUs are made of its name.
pub(super) struct DemoImage {
    name: &'static str,
    pub(super) file: &'static [u8],
}

impl DemoImage {
    pub(super) fn sku(&self) -> String {
        self.name.to_uppercase()
    }
}

/// Embeds an illustration.
macro_rules! image {
    ($name:literal) => {
        DemoImage {
            name: $name,
            file: include_bytes!(concat!("../../../assets/demo/", $name, ".webp")),
        }
    };
}

/// One variant is sold out, and one has one unit left.
pub(super) const CLOTHES: &[DemoClothing] = &[DemoClothing {
    name: "Cotton T-Shirt",
    category: "Clothing",
    rupees: 899,
    colours: &[
        ("Indigo", image!("t-shirt-indigo"), &[12, 20, 16, 7]),
        ("Terracotta", image!("t-shirt-terracotta"), &[9, 1, 14, 0]),
    ],
    sizes: &["S", "M", "L", "XL"],
    description: "Organic cotton from Gujarat, 180 g/m², dyed with plants. Cut straight, and washed once so \
        that it keeps its size.",
}];

/// One product is sold out, and one has two units left.
pub(super) const PRODUCTS: &[DemoProduct] = &[
    DemoProduct {
        name: "Stovetop Kettle",
        category: "Kitchen",
        rupees: 1899,
        stock: 18,
        image: image!("kettle"),
        description: "Enamelled steel with a beech handle. Holds 2 litres, whistles when it boils and \
            works on gas, induction and electric hobs.",
    },
    DemoProduct {
        name: "Cast-Iron Skillet",
        category: "Kitchen",
        rupees: 2249,
        stock: 25,
        image: image!("skillet"),
        description: "Pre-seasoned and 26 cm wide. It gets better with every meal and goes from the \
            hob straight into the oven.",
    },
    DemoProduct {
        name: "Acacia Chopping Board",
        category: "Kitchen",
        rupees: 1199,
        stock: 34,
        image: image!("board"),
        description: "End-grain acacia that is kind to knives, with a groove for juices. Oil it once a \
            month.",
    },
    DemoProduct {
        name: "Brass Spice Box",
        category: "Kitchen",
        rupees: 2799,
        stock: 2,
        image: image!("spice-box"),
        description: "A masala dabba with seven bowls and a tight lid, spun from solid brass by hand \
            in Moradabad.",
    },
    DemoProduct {
        name: "Stoneware Mug",
        category: "Tea & Coffee",
        rupees: 449,
        stock: 60,
        image: image!("mug"),
        description: "Glazed by hand, so no two are the same. Holds 350 ml; safe in the dishwasher and \
            the microwave.",
    },
    DemoProduct {
        name: "Glass Teapot",
        category: "Tea & Coffee",
        rupees: 1349,
        stock: 14,
        image: image!("teapot"),
        description: "Heat-resistant glass with a fine steel strainer, so that you can watch the \
            leaves unfold. Holds 800 ml.",
    },
    DemoProduct {
        name: "Pour-Over Coffee Maker",
        category: "Tea & Coffee",
        rupees: 1799,
        stock: 21,
        image: image!("pour-over"),
        description: "A carafe and a filter in one, with a wooden collar that stays cool. Makes three \
            to five cups.",
    },
    DemoProduct {
        name: "Assam Breakfast Tea",
        category: "Tea & Coffee",
        rupees: 549,
        stock: 80,
        image: image!("tea"),
        description: "Whole-leaf second flush from a small estate near Jorhat: malty, dark and good \
            with milk. 200 g in a tin.",
    },
    DemoProduct {
        name: "Mushroom Table Lamp",
        category: "Home",
        rupees: 3299,
        stock: 9,
        image: image!("lamp"),
        description: "A domed shade and a weighted base for warm, glare-free light. With a dimmer and \
            an E14 bulb.",
    },
    DemoProduct {
        name: "Ceramic Vase",
        category: "Home",
        rupees: 1099,
        stock: 16,
        image: image!("vase"),
        description: "A matte vase, thrown on the wheel and 24 cm tall. Made for dried stems, and \
            watertight for fresh ones.",
    },
    DemoProduct {
        name: "Block-Print Cushion",
        category: "Home",
        rupees: 899,
        stock: 40,
        image: image!("cushion"),
        description: "Cotton, printed by hand with carved teak blocks in Bagru. 45 × 45 cm, with a \
            feather insert.",
    },
    DemoProduct {
        name: "Walnut Wall Clock",
        category: "Home",
        rupees: 2499,
        stock: 0,
        image: image!("clock"),
        description: "A silent sweep movement in a ring of solid walnut, 30 cm across. Runs for two \
            years on one AA battery.",
    },
    DemoProduct {
        name: "Dotted Notebook",
        category: "Stationery",
        rupees: 399,
        stock: 120,
        image: image!("notebook"),
        description: "A5, 192 pages of 100 g paper that takes fountain pen ink. Lies flat and closes \
            with an elastic band.",
    },
    DemoProduct {
        name: "Fountain Pen",
        category: "Stationery",
        rupees: 1599,
        stock: 22,
        image: image!("pen"),
        description: "A steel nib in medium, a resin barrel and a converter for bottled ink. It starts \
            at once, even after a week.",
    },
    DemoProduct {
        name: "Coloured Pencils, Set of Six",
        category: "Stationery",
        rupees: 299,
        stock: 75,
        image: image!("pencils"),
        description: "Soft, bright leads that do not break when you sharpen them. Cased in cedar from \
            managed forests.",
    },
    DemoProduct {
        name: "Desk Globe",
        category: "Stationery",
        rupees: 2199,
        stock: 11,
        image: image!("globe"),
        description: "A 25 cm globe on a tilted brass axis, with the borders of today and a base of \
            mango wood.",
    },
    DemoProduct {
        name: "Copper Watering Can",
        category: "Garden",
        rupees: 1649,
        stock: 17,
        image: image!("watering-can"),
        description: "A long spout for pots on high shelves, and a handle that balances when it is \
            full. Holds 1.2 litres.",
    },
    DemoProduct {
        name: "Snake Plant",
        category: "Garden",
        rupees: 749,
        stock: 28,
        image: image!("snake-plant"),
        description: "Nearly indestructible: happy in the shade and fine with water every two weeks. \
            About 40 cm tall, with its pot.",
    },
    DemoProduct {
        name: "Desert Cactus",
        category: "Garden",
        rupees: 349,
        stock: 45,
        image: image!("cactus"),
        description: "A slow grower for a sunny window sill, in a terracotta pot with a saucer. Water \
            it once a month.",
    },
    DemoProduct {
        name: "Cedar Birdhouse",
        category: "Garden",
        rupees: 999,
        stock: 13,
        image: image!("birdhouse"),
        description: "Untreated cedar with an entrance for tits and sparrows. The floor comes out for \
            cleaning in autumn.",
    },
    DemoProduct {
        name: "Canvas Backpack",
        category: "Outdoors",
        rupees: 3499,
        stock: 19,
        image: image!("backpack"),
        description: "Waxed canvas with leather straps and a sleeve for a 15-inch laptop. Holds 22 \
            litres and shrugs off the monsoon.",
    },
    DemoProduct {
        name: "Steel Water Bottle",
        category: "Outdoors",
        rupees: 849,
        stock: 55,
        image: image!("bottle"),
        description: "Double-walled steel that keeps water cold for a day and tea hot for twelve \
            hours. Holds 750 ml.",
    },
    DemoProduct {
        name: "Camping Lantern",
        category: "Outdoors",
        rupees: 1299,
        stock: 24,
        image: image!("lantern"),
        description: "An LED flame behind real glass: 80 hours of warm light on one charge, and it \
            charges your phone.",
    },
    DemoProduct {
        name: "Striped Umbrella",
        category: "Outdoors",
        rupees: 699,
        stock: 38,
        image: image!("umbrella"),
        description: "A frame of fibreglass that flips back when the wind turns it inside out. Opens \
            with one hand.",
    },
];
