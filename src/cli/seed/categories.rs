//! The sample categories, with the words for the names of their products.

/// A category with the words for its products.
pub(super) struct Category {
    pub(super) name: &'static str,
    /// Lowest and highest price in the currency's major unit.
    pub(super) price_range: (u32, u32),
    pub(super) materials: &'static [&'static str],
    pub(super) nouns: &'static [&'static str],
    /// Colours, sizes, weights or editions.
    pub(super) variants: &'static [&'static str],
}

const fn category(
    name: &'static str,
    price_range: (u32, u32),
    materials: &'static [&'static str],
    nouns: &'static [&'static str],
    variants: &'static [&'static str],
) -> Category {
    Category {
        name,
        price_range,
        materials,
        nouns,
        variants,
    }
}

#[rustfmt::skip]
pub(super) const CATEGORIES: &[Category] = &[
    category("Kitchen", (199, 4999),
        &["Steel", "Brass", "Bamboo", "Ceramic", "Cast-Iron", "Teak", "Copper", "Glass"],
        &["Kettle", "Frying Pan", "Chopping Board", "Spice Box", "Mixing Bowl", "Ladle",
          "Pressure Cooker", "Tiffin"], COLOURS
    ),
    category("Tableware", (149, 3999),
        &["Stoneware", "Porcelain", "Glass", "Brass", "Bamboo", "Enamel", "Terracotta",
          "Marble"],
        &["Dinner Plate", "Soup Bowl", "Tumbler", "Serving Tray", "Teapot", "Mug", "Cutlery Set",
          "Jug"], COLOURS
    ),
    category("Home", (199, 7999),
        &["Cotton", "Oak", "Bamboo", "Brass", "Jute", "Cork", "Ceramic", "Walnut"],
        &["Cushion", "Rug", "Curtain", "Vase", "Clock", "Mirror", "Photo Frame", "Basket"], COLOURS
    ),
    category("Lighting", (299, 9999),
        &["Brass", "Paper", "Glass", "Rattan", "Steel", "Walnut", "Ceramic", "Linen"],
        &["Table Lamp", "Floor Lamp", "Pendant", "Night Light", "Lantern", "Desk Lamp",
          "String Lights", "Wall Sconce"], COLOURS
    ),
    category("Furniture", (1999, 59_999),
        &["Teak", "Oak", "Sheesham", "Walnut", "Rattan", "Mango Wood", "Steel", "Bamboo"],
        &["Chair", "Bookshelf", "Coffee Table", "Stool", "Sideboard", "Bed Frame", "Desk",
          "Bench"], COLOURS
    ),
    category("Bedding", (399, 8999),
        &["Cotton", "Linen", "Wool", "Silk", "Bamboo", "Down", "Flannel", "Muslin"],
        &["Bedsheet", "Quilt", "Pillow", "Blanket", "Duvet Cover", "Mattress Topper",
          "Throw", "Pillowcase"], COLOURS
    ),
    category("Bath", (99, 3999),
        &["Cotton", "Bamboo", "Linen", "Terry", "Teak", "Ceramic", "Waffle", "Jute"],
        &["Towel", "Bath Mat", "Soap Dish", "Bathrobe", "Shower Curtain", "Toothbrush Holder",
          "Washcloth", "Laundry Bag"], COLOURS
    ),
    category("Cleaning", (49, 1499),
        &["Coconut", "Bamboo", "Cotton", "Steel", "Recycled", "Cellulose", "Beech",
          "Sisal"],
        &["Broom", "Dustpan", "Scrub Brush", "Mop", "Dishcloth", "Bucket", "Sponge Set",
          "Feather Duster"], COLOURS
    ),
    category("Women's Clothing", (399, 12_999),
        &["Cotton", "Silk", "Linen", "Chiffon", "Khadi", "Wool", "Georgette", "Denim"],
        &["Kurta", "Saree", "Dress", "Blouse", "Skirt", "Shawl", "Jacket", "Trousers"], COLOURS
    ),
    category("Men's Clothing", (399, 9999),
        &["Cotton", "Linen", "Khadi", "Wool", "Denim", "Corduroy", "Flannel", "Jersey"],
        &["Shirt", "Kurta", "Trousers", "Jacket", "Waistcoat", "Polo Shirt", "Pullover",
          "Shorts"], COLOURS
    ),
    category("Children's Clothing", (199, 2999),
        &["Cotton", "Fleece", "Jersey", "Denim", "Muslin", "Corduroy", "Linen", "Wool"],
        &["Romper", "T-Shirt", "Pyjamas", "Dungarees", "Frock", "Raincoat", "Cap",
          "Leggings"], COLOURS
    ),
    category("Shoes", (499, 11_999),
        &["Leather", "Canvas", "Suede", "Mesh", "Jute", "Cork", "Rubber", "Felt"],
        &["Sandals", "Sneakers", "Boots", "Loafers", "Slippers", "Running Shoes", "Juttis",
          "Moccasins"], COLOURS
    ),
    category("Bags", (299, 14_999),
        &["Leather", "Canvas", "Jute", "Nylon", "Cotton", "Denim", "Felt", "Waxed Cotton"],
        &["Backpack", "Tote", "Messenger Bag", "Suitcase", "Wallet", "Duffel", "Sling Bag",
          "Laptop Sleeve"], COLOURS
    ),
    category("Jewellery", (199, 49_999),
        &["Silver", "Brass", "Gold-Plated", "Pearl", "Terracotta", "Oxidised", "Glass",
          "Copper"],
        &["Necklace", "Earrings", "Bangle", "Ring", "Anklet", "Brooch", "Pendant",
          "Bracelet"], COLOURS
    ),
    category("Watches", (799, 24_999),
        &["Steel", "Leather", "Titanium", "Ceramic", "Nylon", "Gold-Tone", "Mesh",
          "Silicone"],
        &["Wristwatch", "Chronograph", "Field Watch", "Dress Watch", "Diver's Watch",
          "Pocket Watch", "Digital Watch", "Watch Strap"], COLOURS
    ),
    category("Headphones & Audio", (499, 24_999),
        &["Wireless", "Wired", "Noise-Cancelling", "Open-Back", "Waterproof", "Studio",
          "Foldable", "Bass"],
        &["Headphones", "Earbuds", "Speaker", "Soundbar", "Microphone", "Radio",
          "Turntable", "Amplifier"], COLOURS
    ),
    category("Computers", (299, 89_999),
        &["Wireless", "Mechanical", "Ergonomic", "USB-C", "Aluminium", "Backlit", "Silent",
          "Foldable"],
        &["Keyboard", "Mouse", "Laptop Stand", "Monitor", "Webcam", "Docking Station",
          "Hard Drive", "Graphics Tablet"], COLOURS
    ),
    category("Phones & Accessories", (99, 39_999),
        &["Magnetic", "Silicone", "Leather", "Fast", "Solar", "Braided", "Clear", "Rugged"],
        &["Charger", "Power Bank", "Phone Case", "Cable", "Car Mount", "Screen Protector",
          "Smartphone", "Selfie Stick"], COLOURS
    ),
    category("Cameras", (499, 79_999),
        &["Carbon", "Aluminium", "Instant", "Mirrorless", "Compact", "Waterproof", "Padded",
          "Wide-Angle"],
        &["Camera", "Tripod", "Lens", "Camera Bag", "Flash", "Memory Card Case", "Gimbal",
          "Strap"], COLOURS
    ),
    category("Home Appliances", (799, 39_999),
        &["Steel", "Glass", "Quiet", "Inverter", "Cordless", "Energy-Saving", "Smart",
          "Copper"],
        &["Mixer Grinder", "Iron", "Vacuum Cleaner", "Air Purifier", "Fan", "Toaster",
          "Water Purifier", "Coffee Machine"], COLOURS
    ),
    category("Books", (99, 1999),
        &["Illustrated", "Hardback", "Paperback", "Annotated", "Pocket", "Bilingual",
          "Large-Print", "Collected"],
        &["Atlas", "Cookbook", "Novel", "Travel Guide", "Biography", "Anthology",
          "Dictionary", "Field Guide"], EDITIONS
    ),
    category("Stationery", (29, 2999),
        &["Recycled", "Leather", "Brass", "Handmade-Paper", "Linen", "Bamboo", "Cork",
          "Walnut"],
        &["Notebook", "Fountain Pen", "Pencil Case", "Desk Tray", "Stapler", "Paperweight",
          "Diary", "Sketchbook"], COLOURS
    ),
    category("Art & Craft", (49, 4999),
        &["Watercolour", "Acrylic", "Cotton", "Clay", "Bamboo", "Silk", "Wool", "Birch"],
        &["Paint Set", "Brush Set", "Easel", "Canvas", "Embroidery Kit", "Yarn", "Loom",
          "Block Print Kit"], COLOURS
    ),
    category("Musical Instruments", (299, 49_999),
        &["Rosewood", "Bamboo", "Mahogany", "Brass", "Spruce", "Goatskin", "Maple", "Mango Wood"],
        &["Guitar", "Flute", "Tabla", "Ukulele", "Harmonium", "Cajon", "Tambourine",
          "Violin"], COLOURS
    ),
    category("Toys", (99, 4999),
        &["Wooden", "Plush", "Cotton", "Magnetic", "Tin", "Cardboard", "Felt",
          "Channapatna"],
        &["Puzzle", "Kite", "Spinning Top", "Building Blocks", "Doll", "Train Set",
          "Rattle", "Rocking Horse"], COLOURS
    ),
    category("Board Games", (199, 3999),
        &["Wooden", "Travel", "Magnetic", "Marble", "Cooperative", "Bamboo", "Cloth",
          "Brass"],
        &["Chess Set", "Carrom Board", "Ludo", "Card Game", "Backgammon", "Dominoes",
          "Pachisi", "Word Game"], COLOURS
    ),
    category("Baby", (99, 14_999),
        &["Muslin", "Cotton", "Silicone", "Bamboo", "Beech", "Fleece", "Wool", "Quilted"],
        &["Swaddle", "Bib", "Feeding Bottle", "Carrier", "Cot", "Play Mat", "Teether",
          "Changing Bag"], COLOURS
    ),
    category("Fitness", (149, 19_999),
        &["Rubber", "Cork", "Cast-Iron", "Steel", "Foam", "Latex", "Jute", "Neoprene"],
        &["Yoga Mat", "Dumbbell", "Skipping Rope", "Kettlebell", "Resistance Band", "Foam Roller",
          "Pull-Up Bar", "Gym Bag"], COLOURS
    ),
    category("Sports", (199, 9999),
        &["Willow", "Leather", "Carbon", "Synthetic", "Aluminium", "Composite", "Cork",
          "Nylon"],
        &["Cricket Bat", "Football", "Badminton Racket", "Tennis Ball Set", "Hockey Stick",
          "Helmet", "Shin Guards", "Table Tennis Bat"], COLOURS
    ),
    category("Cycling", (99, 44_999),
        &["Steel", "Alloy", "Carbon", "Leather", "Reflective", "Merino", "Waterproof",
          "Titanium"],
        &["Bicycle", "Saddle", "Bell", "Pannier", "Helmet", "Pump", "Jersey", "Lock"], COLOURS
    ),
    category("Camping", (199, 24_999),
        &["Canvas", "Nylon", "Titanium", "Down", "Steel", "Bamboo", "Solar", "Ripstop"],
        &["Tent", "Sleeping Bag", "Stove", "Hammock", "Lantern", "Cooler", "Flask",
          "Trekking Pole"], COLOURS
    ),
    category("Garden", (79, 8999),
        &["Terracotta", "Steel", "Teak", "Jute", "Coir", "Copper", "Ceramic", "Recycled"],
        &["Planter", "Watering Can", "Trowel", "Bird Feeder", "Garden Bench", "Secateurs",
          "Compost Bin", "Hose"], COLOURS
    ),
    category("Tools", (99, 14_999),
        &["Steel", "Cordless", "Carbon-Steel", "Ash", "Brass", "Magnetic", "Insulated",
          "Titanium"],
        &["Hammer", "Screwdriver Set", "Drill", "Spanner", "Hand Saw", "Tape Measure",
          "Pliers", "Toolbox"], COLOURS
    ),
    category("Pets", (49, 6999),
        &["Cotton", "Leather", "Bamboo", "Nylon", "Ceramic", "Steel", "Sisal", "Fleece"],
        &["Dog Bed", "Collar", "Feeding Bowl", "Scratching Post", "Leash", "Cat Tunnel",
          "Aquarium", "Grooming Brush"], COLOURS
    ),
    category("Beauty", (79, 3999),
        &["Rose", "Sandalwood", "Neem", "Turmeric", "Aloe", "Saffron", "Coconut", "Almond"],
        &["Face Cream", "Soap", "Hair Oil", "Lip Balm", "Body Scrub", "Serum", "Face Mask",
          "Shampoo"], SIZES
    ),
    category("Tea & Coffee", (99, 2499),
        &["Assam", "Darjeeling", "Nilgiri", "Malabar", "Coorg", "Organic", "Masala",
          "Single-Estate"],
        &["Black Tea", "Green Tea", "Coffee Beans", "Chai Blend", "Filter Coffee", "White Tea",
          "Oolong", "Cold Brew"], WEIGHTS
    ),
    category("Grocery", (29, 1499),
        &["Organic", "Stone-Ground", "Wild", "Roasted", "Sun-Dried", "Cold-Pressed",
          "Whole", "Unsalted"],
        &["Basmati Rice", "Honey", "Mustard Oil", "Cashews", "Lentils", "Spice Mix",
          "Mango Pickle", "Jaggery"], WEIGHTS
    ),
];

const COLOURS: &[&str] = &[
    "Indigo",
    "Saffron",
    "Maroon",
    "Olive",
    "Ivory",
    "Charcoal",
    "Turquoise",
    "Mustard",
    "Rust",
    "Sand",
    "Emerald",
    "Lilac",
    "Navy",
    "Coral",
    "Slate",
    "White",
];

const WEIGHTS: &[&str] = &[
    "25 g", "50 g", "75 g", "100 g", "125 g", "150 g", "200 g", "250 g", "300 g", "400 g", "500 g",
    "750 g", "1 kg", "2 kg", "3 kg", "5 kg",
];

const SIZES: &[&str] = &[
    "10 ml", "15 ml", "20 ml", "30 ml", "40 ml", "50 ml", "75 ml", "100 ml", "120 ml", "150 ml",
    "180 ml", "200 ml", "250 ml", "300 ml", "400 ml", "500 ml",
];

const EDITIONS: &[&str] = &[
    "First Edition",
    "Second Edition",
    "Third Edition",
    "Fourth Edition",
    "Fifth Edition",
    "Jubilee Edition",
    "School Edition",
    "Collector's Edition",
    "Volume One",
    "Volume Two",
    "Volume Three",
    "Volume Four",
    "Revised",
    "Abridged",
    "Boxed",
    "Signed",
];
