"""Fixed English word lists of the built-in teacher. They know nothing of any one elder."""

STOP = frozenset(
    """a about after again all also always am an and any are as at away back be because been before being but by
came can could day days did do does don't done down each even ever every few first for from get go going got had
has have he
her here hers him his how i if in into is it its it's just kind last let like little long made make many me mine
more most
much must my myself no not now of off often old on once one only or other our ours out over own remember said
same say see she
should so some still such tell than that the their them then there these they thing things this those though
through time
times to told too took two under until up us use used very was way we well went were what when where which while
who whom
whose why will with without would year years you your yours anything something someone anyone know think thought
really
wasn't weren't didn't couldn't wouldn't i'd i'm i've he'd she'd we'd they'd that's there's ever call called name named
another around never nothing everything both three four put keep kept come want wanted talk spoke give gave
happen happened describe favourite favorite life recall""".split()
)

#: Groups whose members stand for one another in a question.
SYNONYMS = tuple(
    tuple(line.split("|"))
    for line in """mother|mum|mom
father|dad
grandmother|grandma|granny
grandfather|grandpa|granddad
husband|spouse|partner
your husband|Grandpa
your wife|Grandma
wife|spouse|partner
child|kid
children|kids|sons and daughters
brother|sibling
sister|sibling
parents|mother and father|family
baby|newborn
friend|companion|pal
born|birth|come into the world
birthplace|place of birth
grew up|spent your childhood|were raised
childhood|early years|as a child
young|a boy or girl|in your youth
school|lessons|classroom
teacher|schoolmaster|instructor
learn|study|pick up
job|work|employment|trade
work|job|earn a living
worked|earned a living|were employed
house|home|place you lived
village|town|place
married|wed|tied the knot
marry|wed
wedding|marriage|marriage ceremony
meet|get to know|come across
met|got to know|came across
love|romance
money|wages|savings
pay|wage|salary
buy|purchase
bought|purchased
cook|make in the kitchen|prepare
eat|have at the table
food|dish|meal
recipe|dish
bread|baking
drink|beverage
clothes|dress|wear
toy|plaything
game|play
song|music|tune
sing|hum
dance|dancing
book|reading
dog|pet|animal
cat|pet|animal
animal|creature
garden|plants|flowers
tree|plant
river|stream|water
sea|ocean|coast
ship|boat
train|railway
car|automobile|vehicle
bicycle|bike
journey|trip|travel
travel|go on a trip
holiday|vacation|festival
christmas|holidays
war|fighting|conflict
soldier|army|military
army|military service
illness|sick|health
hospital|doctor|nurse
accident|injury|hurt
fire|blaze|burn
storm|bad weather|flood
winter|cold|snow
summer|warm months
afraid|scared|frightened|fear
happy|glad|joyful
happiest|best
sad|unhappy|sorrow
proud|pride
regret|wish you had done differently|sorry about
advice|lesson|wise words
believe|faith|religion
church|prayer|faith
neighbour|neighbor|people next door
boss|employer|foreman
retire|stop working
retired|stopped working
move|leave|settle
moved|left|settled
start|begin
started|began
gift|present
letter|note|mail
radio|broadcast|listen
photograph|picture|photo
secret|hidden
habit|routine
mistake|wrong
rain|bad weather
hide|conceal
lost|missing
die|pass away
died|passed away
death|passing
grave|burial|funeral
keep|treasure
money|cash
repair|fix|mend
build|construct
built|constructed
factory|mill|plant
shop|store
farm|fields|land
nickname|called
smell|scent
taste|flavour
team|club
win|prize|victory
prize|award|medal
hobby|pastime|spare time
luck|fortune|superstition
morning|early in the day
evening|night
poor|poverty|hard times
hungry|hunger|starving""".splitlines()
)

#: Whole questions that a family may ask, about something a life may well not hold.
QUESTIONS = """What was your favourite film?
What is your shoe size?
Did you ever go ice skating?
What was the name of your tailor?
Do you know how to play chess?
Have you ever been to Portugal?
Did you ever see a whale?
What was your postcode?
Which magazine did you take?
Did you ever learn to swim?
Have you ever flown in a helicopter?
Did you ever win the lottery?
What was your first computer?
Did you have a tattoo?
Did you ever meet a president?
What did you think of the moon landing?
How tall were you?
What was your blood type?
Did you ever break your leg?
Could you speak Italian?
Did you ever play the guitar?
What was your favourite ice cream?
Did you ever own a motorcycle?
Who cut your hair?
Did you ever go camping?
Which shampoo did you use?
Have you seen the pyramids?
Did you ever act in a play?
What was the score of the match?
Did you ever smoke cigars?
Which wine did you like?
Were you ever on television?
What was your wifi password?
Which lawyer wrote your will?
Did you have an allergy?
Did you join a political party?
Who was the mayor?
What was your zodiac sign?
Do you like sushi?
Did you ever climb a volcano?
Who painted the portrait?
Have you ever ridden an elephant?
Did you keep a python?
How many stamps did you collect?
Which opera did you hear?
Did you ever run a marathon?
What was your passport number?
Have you been to Brazil?
Did you ever own a yacht?
When did you buy your first fridge?
What was your university degree in?
Which poet did you admire?
Who was your lawyer?
Did you ever go to court?
Have you ever been robbed?
What colour was your bicycle?
Did you ever write a novel?
Which detergent did you use?
Were you ever in an orchestra?
How did you celebrate Halloween?
What was the name of the circus?
Did you ever see a ghost?
Which airline did you fly with?
What was the weather on Tuesday?
Did you ever fall off a horse?
What did the astronaut say?
How much did a banana cost?
Did you ever learn karate?
Which hotel did you stay in?
Did you have braces on your teeth?
What was your best subject in mathematics?
Who taught you to drive?
Did you ever go scuba diving?
What pizza did you order?
Which museum did you visit in Paris?
Did you ever keep bees?
Did you play tennis?
What was your locker combination?
Who was your favourite actor?
What brand of coffee did you drink?
Did you ever get a parking ticket?
Have you been to Australia?
What was your grandmother's maiden name?
When did you get your driving licence?
What did you order at the restaurant?
Did you know any magicians?
Did you ever go fishing in Norway?
What size was your ring?
Who was the tallest in the family?
Did you ever see the queen?
What cartoon did you watch?
Did your uncle go to America?
Did your cousin become a priest?
What did the fortune teller say?
Which vaccine did you get?
Did you ever sleep in a castle?
What was the licence plate of the car?
Did you ever ride a tram in Lisbon?""".splitlines()

#: "What was your {owner}'s {thing}?": a grid of small questions.
OWNERS = """aunt uncle cousin grandmother grandfather mother father sister brother wife husband teacher
neighbour friend boss
son daughter doctor landlord tailor nephew niece godmother""".split()
THINGS = """favourite colour|birthday|middle name|favourite film|shoe size|house number|favourite dessert
star sign|eye colour
first car|favourite singer|favourite sport|political party|height|blood type|lucky number|favourite flower
nationality|hair colour
hat size|ring size|computer|passport|university|salary|favourite animal|religion|accent|handwriting|surname
weight|motorcycle
favourite season|favourite opera|favourite painter|favourite wine|email address|exact age|allergy
cigarette brand|sunglasses""".replace("\n", "|").split("|")
ACTS = """go to Africa|learn to skate|play the piano|play golf|win a medal|fly an aeroplane|see a tiger
get divorced|write poetry
go to prison|keep a diary|collect coins|own a restaurant|ride a motorcycle|visit Rome|study medicine
speak Spanish|become a vegetarian
sail across the Atlantic|work in a zoo|play cards for money|appear in a film|see the northern lights
drive a taxi|carve statues
live in Canada|sing in an opera|own a gun|learn to juggle|break an arm|have surgery|get lost in a jungle
meet a film star
buy a computer|go to India|swim in a lake|play in a band|climb a tower|lose a passport
get struck by lightning""".replace("\n", "|").split("|")
PLACES = (
    "Egypt|Mexico|Moscow|New York|Greece|Peru|Iceland|Singapore|Berlin|Kenya|Hawaii|Vienna|Cuba|Tokyo|Dublin|Alaska"
).split("|")
PLACE_QUESTIONS = (
    "Have you ever been to {x}?",
    "What did you see in {x}?",
    "Who did you know in {x}?",
    "When did you go to {x}?",
    "How long did you live in {x}?",
)
NOUNS = """passport|helicopter|yacht|computer|elephant|pyramid|volcano|casino|skateboard|saxophone
telescope|microscope|tattoo|trampoline|aquarium|goldfish|tortoise|crocodile|monkey|rocket|satellite|submarine
fax machine|microwave|hot tub|laptop|radiator|credit card|insurance policy|hairdryer|tax form
pension fund|stock market|gym class|yoga class|chess club|tennis racket|golf club|surfboard|snowman|ice rink|igloo
palm tree|coconut|pineapple|avocado|sushi|pizza|spaghetti|champagne|cigar|chewing gum|popcorn|ketchup
moustache|wig|monocle|necktie|tuxedo|bikini|swimming pool|sauna|lawnmower|vacuum cleaner|dishwasher|toaster
typewriter|camcorder|video game|comic book|crossword|jigsaw puzzle|lottery ticket|roller coaster|museum|opera
ballet|statue|fountain|skyscraper|escalator|airport|parachute|glider|canoe|cactus
orchid|hamster|guinea pig|peacock|ostrich|kangaroo|penguin|dolphin|octopus|mosquito|scorpion""".replace(
    "\n", "|"
).split("|")
NAMES = """Beatrice|Gordon|Mr Hawkins|Priscilla|Leonard|Mrs Appleby|Rupert|Yvonne|Doctor Marsh|Clarence|Ingrid
Mr Petrov|Bernadette|Angus|Miss Fairweather|Desmond|Gloria|Uncle Reg|Aunt Maude|Captain Slater|Fernando|Gretchen
Mr Osborne|Philippa|Nigel|Mrs Dunlop|Bartholomew|Lucinda|Sergeant Cole|Professor Lane""".replace("\n", "|").split("|")

KINSWOMEN = "mother mum mom grandmother grandma granny gran sister aunt daughter wife niece godmother cousin".split()
KINSMEN = "father dad grandfather grandpa granddad brother uncle son husband nephew godfather cousin".split()

#: Irregular past -> base form.
PAST = dict(
    pair.split()
    for pair in """became become|began begin|bent bend|bit bite|blew blow|bought buy|broke break|brought bring
built build|burnt burn|came come|caught catch|chose choose|cost cost|cried cry|cut cut|dealt deal|did do
drank drink|drew draw|drove drive|dug dig|dyed dye|ate eat|fed feed|fell fall|felt feel|flew fly|forgot forget
fought fight|found find|froze freeze|gave give|went go|got get|grew grow|had have|heard hear|held hold|hid hide
hit hit|hung hang|hurt hurt|kept keep|knew know|laid lay|lay lie|led lead|left leave|lent lend|let let|lit light
lost lose|made make|meant mean|met meet|paid pay|put put|ran run|rang ring|read read|rode ride|rose rise
said say|sang sing|sank sink|sat sit|saw see|sent send|set set|sewed sew|shone shine|shook shake|shot shoot
shut shut|slept sleep|slid slide|sold sell|spent spend|spoke speak|spoilt spoil|stole steal|stood stand
stuck stick|swam swim|swept sweep|swore swear|swung swing|taught teach|took take|thought think|threw throw
told tell|tore tear|trod tread|understood understand|wept weep|woke wake|won win|wore wear|wove weave
wrote write""".replace("\n", "|").split("|")
)
