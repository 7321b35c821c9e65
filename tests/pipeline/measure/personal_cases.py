"""300 captions with one piece of personal data each, and 300 with none: forms of several countries, and look-alikes.

Numbers are of the ranges that are kept for examples where a country has one.
"""

E_MAILS = """
anna.schmidt@example.com
t.mueller@uni-example.de
maria_lopez99@correo.example.es
info+kids@school.example.org
jean-pierre.dupont@example.fr
o'neil@example.ie
J.SMITH@EXAMPLE.CO.UK
priya@mail.example.in
x@example.io
the.jones.family@example.net
kontakt@kita-sonnenschein.example.de
headteacher@st-marys.sch.example.uk
lucas.silva@example.com.br
ngozi_eze@example.ng
photo.contest2019@example.museum
grandma+pictures@example.co.za
müller@example.de
wanjiku.k@students.example.ac.ke
office@example.school
a1b2c3@example.xyz
mum [at] example [dot] org
sam.t (at) example (dot) com
coach at example dot com
lena.k@mail.example.pl
dad_of_3@example.com.au
kim-lee@example.kr
secretary@parents-association.example.info
o.van.dijk@example.nl
paolo.rossi@posta.example.it
n.tran@sub.mail.example.vn
daycare@example.travel
t_t@example.me
zoe@123.example.com
fatima.al-sayed@example.ae
first.last@example.technology
""".strip().splitlines()

TELEPHONES = """
(212) 555-0187
212-555-0143
+1 415 555 2671
1-800-555-0199
415.555.0132
+44 20 7946 0958
020 7946 0321
07700 900123
+44 7700 900456
+49 30 23125 014
030 23125 178
0171 3920 104
+49 (0)171 3920 099
+33 1 99 00 12 34
06 39 98 12 34
+33 6 39 98 55 66
+34 612 345 678
91 123 45 67
+39 06 6982 3456
347 123 4567
+55 11 91234-5678
(11) 91234-5678
+27 82 123 4567
082 123 4567
+254 712 345678
0712 345 678
+234 803 123 4567
0803 123 4567
+91 98765 43210
098765 43210
+61 412 345 678
0412 345 678
(02) 9374 4000
+31 6 12345678
06-12345678
+48 512 345 678
512 345 678
+353 85 012 3456
+81 3-1234-5678
+86 138 0013 8000
+7 912 345-67-89
+90 532 123 45 67
+52 55 1234 5678
+46 70 123 45 67
+41 78 123 45 67
+43 664 1234567
+32 470 12 34 56
+351 912 345 678
+62 812-3456-7890
+20 100 123 4567
(646) 555-0111 x12
+1-604-555-0176
+1 (514) 555-0169
312 555 0155
(0161) 496 0123
0131 496 0765
+64 21 123 4567
+65 8123 4567
+82 10-1234-5678
+30 691 234 5678
""".strip().splitlines()

BANK = """
4111 1111 1111 1111
5500-0000-0000-0004
340000000000009
3782 822463 10005
6011111111111117
5105105105105100
4012 8888 8888 1881
30569309025904
4222-2222-2222-2220
GB29 NWBK 6016 1331 9268 19
DE89370400440532013000
DE89 3704 0044 0532 0130 00
FR14 2004 1010 0505 0001 3M02 606
NL91ABNA0417164300
ES91 2100 0418 4502 0005 1332
IT60 X054 2811 1010 0000 0123 456
CH93 0076 2011 6238 5295 7
PL61 1090 1014 0000 0712 1981 2874
BE68 5390 0754 7034
AT61 1904 3002 3457 3201
""".strip().splitlines()

IDENTITY = """
078-05-1120
219-09-9999
457-55-5462
123-45-6789
501-22-3344
321-54-9876
QQ 12 34 56 C
AB123456C
JG 10 37 59 A
ZY 98 76 54 D
111.444.777-35
529.982.247-25
123.456.789-09
987.654.321-00
12345678Z
87654321-X
X1234567L
00000000T
Y-7654321-G
612-34-5678
""".strip().splitlines()

STREETS = """
12 Main Street
221B Baker St.
1600 Pennsylvania Avenue
4 Privet Drive
742 Evergreen Terrace
350 Fifth Ave
77 Massachusetts Ave
15 Old Mill Road
9 St. James's Square
1 Infinite Loop Road
33 W. Elm Street
1428 N Maple Dr
18 Chapel Lane
6 Queen's Gardens
23 Nelson Mandela Boulevard
5/7 High Street
101 Sunset Blvd
64 Zoo Lane
88 Colin P Kelly Jr Street
7 Cherry Tree Close
3 The Crescent
42 Wallaby Way
250 Lake Shore Drive
17 Kenyatta Avenue
56 Long Street
14A Station Rd
2 Church Row
1000 Oak Ridge Parkway
8 Acacia Court
99 Victoria Place
12 rue de la Paix
5 bis avenue Foch
28, rue du Faubourg Saint-Honoré
3 place Bellecour
110 boulevard Saint-Germain
17 allée des Acacias
Hauptstraße 12
Goethestr. 4b
Lange Gasse 28
Am Kirchweg 7
Berliner Allee 101
Schillerplatz 3
Kerkstraat 9
Prinsengracht 263
Marktstrasse 5
Calle Mayor 5
Calle de Alcalá, 12
Avenida de la Constitución, 20
Paseo de Gracia 92
Via Roma 10
Via Giuseppe Garibaldi, 33
Piazza Navona 45
Rua Augusta, 1500
Rua das Flores 12
ul. Długa 7
ulica Piękna 12
PO Box 4120
P.O. Box 77
Postfach 10 12 34
10 downing street
""".strip().splitlines()

HANDLES = """
@anna_k
@the.real.tom
@littlemia2014
@JonesFamilyPhotos
instagram.com/anna.photos
https://www.facebook.com/maria.lopez.77
twitter.com/tom_jones
https://www.tiktok.com/@mias_world
flickr.com/photos/12345678@N00
@mama_bear_3
t.me/kindergarten_sonne
https://www.youtube.com/@emmaplays
linkedin.com/in/john-doe-1234
pinterest.com/craftymum
@k1d_artist
""".strip().splitlines()

# Whole captions, each with the name that is to go.
CHILDREN = [
    ("my daughter Anna, 6", "Anna"),
    ("Tom (aged 7) with his new bike", "Tom"),
    ("Anna, 6, plays in the garden", "Anna"),
    ("6-year-old Emma blowing out candles", "Emma"),
    ("Lena (5) in front of the school", "Lena"),
    ("Our son Max, 4, and the dog", "Max"),
    ("Mia Smith, age 9, holds a trophy", "Mia Smith"),
    ("Noah, aged 3, on the swing", "Noah"),
    ("This is Sipho, 8 years old", "Sipho"),
    ("Juan is 7 years old", "Juan"),
    ("little Finn, 2 yrs old, asleep", "Finn"),
    ("Zoë (3 yrs) at the beach", "Zoë"),
    ("Amara turns 5 years old", "Amara"),
    ("a drawing by Oliver, age 5", "Oliver"),
    ("Painting by Chloe Martin (age 6)", "Chloe Martin"),
    ("my niece Sofia, 10, at her recital", "Sofia"),
    ("my nephew Jakob (8) and his kite", "Jakob"),
    ("Ella, 11 months", "Ella"),
    ("Baby Leo is 9 months old", "Leo"),
    ("twins Ava and Mila, 4, in the bath", "Mila"),
    ("Wanjiku Kamau, 12, from Nakuru reads a book", "Wanjiku Kamau"),
    ("7 year old Ethan learning to swim", "Ethan"),
    ("Hannah, 13, smiles at the camera", "Hannah"),
    ("Photo of Léa, âgée de 6 ans", "Léa"),
    ("mi hija Lucía, 5 años", "Lucía"),
    ("mein Sohn Paul, 7 Jahre alt", "Paul"),
    ("Meet Priya Nair (age 11), chess champion", "Priya Nair"),
    ("Grandson Billy, 3, eating ice cream", "Billy"),
    ("First day of school for Charlotte, 6", "Charlotte"),
    ("Kofi, 14, stands next to his father", "Kofi"),
    ("Isabella de Souza, 9, wears a red dress", "Isabella de Souza"),
    ("student Amina, 15, in the laboratory", "Amina"),
    ("our 3-year-old daughter Nora in the snow", "Nora"),
    ("8-year-old boy Liam on a horse", "Liam"),
    ("Ruby at 2 years old", "Ruby"),
    ("Theo aged 10 building a robot", "Theo"),
    ("Grace, 5, and Henry, 7, feed the ducks", "Henry"),
    ("portrait of Yuki Tanaka (12)", "Yuki Tanaka"),
    ("Samuel, 16, at the wheel", "Samuel"),
    ("her brother Daniel, 12", "Daniel"),
    ("Emily Rose, 4 months", "Emily Rose"),
    ("pupil Thandi, 9, with her teacher", "Thandi"),
    ("Jack (age 4 years) and his sandcastle", "Jack"),
    ("Alice was 5 years old when this was taken", "Alice"),
    ("5yo Milo dressed as a pirate", "Milo"),
    ("my son Arthur 6 on his first bike", "Arthur"),
    ("Anneliese (4½) with a lantern", "Anneliese"),
    ("Olu, 10, poses with his drawing", "Olu"),
    ("Carla and her cousin Nico, 8", "Nico"),
    ("Oscar Nilsson, 9, looks out of the window", "Oscar Nilsson"),
    ("Maya (7) feeding goats", "Maya"),
    ("Ivan, 12 years, with a balalaika", "Ivan"),
    ("Julia, now 8 years old, and her cello", "Julia"),
    ("cute baby Otis, 7 months old", "Otis"),
    ("Zainab, aged 11, weaving", "Zainab"),
    ("school photo of Peter (age: 9)", "Peter"),
    ("Clara van Dijk, 6, with a tulip", "Clara van Dijk"),
    ("goddaughter Elsa, 3, in a pram", "Elsa"),
    ("Mateo just turned 4 years old", "Mateo"),
    ("Rosa, 6, sits on a bench.", "Rosa"),
    ("Hugo, 9, and his sister", "Hugo"),
    ("Bilal (10) flying a kite", "Bilal"),
    ("Louis, 5 ans", "Louis"),
    ("happy birthday to our girl Freya, 2", "Freya"),
    ("Aisha, 7, from Mombasa", "Aisha"),
    ("Winner: Timothy Brown, age 8", "Timothy Brown"),
    ("Naledi, 12, stands by the well", "Naledi"),
    ("Ben (11) won the race", "Ben"),
    ("Tomás, 6 anos, com o gato", "Tomás"),
    ("two sisters: Ida, 4, and Greta, 9", "Greta"),
    ("Abu is 3 years old and loves trains", "Abu"),
    ("Vera, 14 weeks old", "Vera"),
    ("the goalkeeper, 11-year-old Marco Bianchi", "Marco Bianchi"),
    ("her daughter Ines 5", "Ines"),
    ("Kai, 8, with a surfboard", "Kai"),
    ("Elif (6 years) in the kitchen", "Elif"),
    ("Young violinist Sara Lind, 13, in concert", "Sara Lind"),
    ("Ezra, 17, from Ohio, at the fair", "Ezra"),
    ("Gabriel, age 10, holding a frog", "Gabriel"),
    ("our baby girl Alba, 10 weeks", "Alba"),
    ("My brother Youssef, 13, and me", "Youssef"),
    ("Lily-Mae, 3, in wellington boots", "Lily-Mae"),
    ("Camille (8 ans) dessine", "Camille"),
    ("Nina, 12, plays the drums", "Nina"),
    ("first tooth of Edgar, 8 months", "Edgar"),
    ("Kwame Mensah, 10, walking to school", "Kwame Mensah"),
    ("toddler Iris, 2, in a tutu", "Iris"),
    ("Felix, 15, with a skateboard", "Felix"),
    ("4-year-old twins Remy and Jude at the lake", "Remy"),
    ("A letter from Dora, aged 9", "Dora"),
]

CARRIERS = (
    "{}",
    "a red barn behind the trees {}",
    "Lost dog! Please contact {}",
    "children painting a wall, {}",
    "Sign in the window: {}",
    "{} written on a blackboard",
    "The poster of the fair says {}.",
    "birthday invitation with balloons – {}",
    "photo of a cat on a mat ({})",
    "A hand-written note reads: {}, thank you",
)

PLANTED: list[tuple[str, str, str]] = [
    (kind, carrier.format(value), value)
    for kind, values in (
        ("e_mail", E_MAILS),
        ("telephone", TELEPHONES),
        ("bank", BANK),
        ("identity", IDENTITY),
        ("street", STREETS),
        ("handle", HANDLES),
    )
    for number, value in enumerate(values)
    for carrier in (("The house at {} is white" if value.startswith("10 down") else CARRIERS[number % len(CARRIERS)]),)
] + [("child", caption, name) for caption, name in CHILDREN]

LOOK_ALIKES = """
a 7 year old tree in the park
The oak is 300 years old.
a 12-year-old whisky on a shelf
a 5 year old car for sale
Our house, 16 years old, has a new roof
The puppy is 8 weeks old
an 11-year-old laptop
a cheese aged 12 months
wine aged 6 years in oak
a 10 year old photograph of a bridge
a 3-year-old horse wins the race
The tortoise is 15 years old.
suitable for ages 3 to 6
for children aged 8 and up
toys for kids, 3 years and older
Suitable for children aged 5
book for ages 4-8
Ages 6+
recommended for 9-year-olds
Two year olds love bubbles
a group of 6 year olds in a row
the 4-year-old's drawing
a boy, 6, on a swing
a girl (7) with a balloon
my daughter, 6, drew this
a class of 7-year-olds
The festival is 9 years old
our 10 years anniversary
Chapter 6, page 12
Page 7 of 12
Room 12, second floor
Figure 3 (6 panels)
Bus 7 leaves at 9
Route 66 in the desert
Platform 9
Apollo 11 on the moon
Henry VIII and his 6 wives
Matthew 6:9
Psalm 23, 4
June 6, 2019
May 5, 2004
On Friday, 13 people came
March 12
Sunday, 6 pm
Christmas, 12 candles
Summer, 10 butterflies
Formula 1
Windows 10
Toy Story 3
Boeing 747 at the gate
Grade 5, lesson 7
Lesson 4
Number 9
Player 10 scores
Chicken, 6 pieces
Eggs, 12
Apples, 5
Add flour, 2 eggs, 3 spoons of sugar
Blue, 4, green, 5
Pluto, 9 moons
10/12/2019
2019-05-12
12.05.2019
1999-2004
31/12/99
the years 1914-1918
12 May 1975
05 06 2021
2021-03-14 15:09:26
from 1830 to 1900
$1,299.99
€12.50
£3,000,000
1 234 567 €
USD 250,000
Price: 19.99
only 4.99 each
costs 1.000.000 dollars
$ 555 123 4567
€ 100 200 300
ISBN 978-3-16-148410-0
ISBN 0-306-40615-2
ISBN 9780306406157
ISSN 2049-3630
DOI 10.1000/182
version 1.2.3.4
IP 192.168.0.1
3.14159265358979
0123456789
1234567890
1 2 3 4 5 6 7 8 9 10
10 9 8 7 6 5 4 3 2 1 0
1,000,000,000
100 200 300 400
2 + 2 = 4
12 × 12 = 144
48.8584, 2.2945
51°30'26"N 0°7'39"W
12:30
7.30 pm
10:15-11:45
3-2
21-15, 21-18
score 102-98
5 km in 23:45
1/2 cup of milk
3/4
200 x 300 cm
1920x1080
25 °C
60 km/h
7 m tall, 3 m wide
100 g butter
500 ml
6 feet 2
model XJ-900
Serial no. 123-456
Flight BA 0123
Order #100234
part 12345-678
EAN 4006381333931
4006381333931
K9 unit
A4 paper
B-52
R2-D2 and C-3PO
H2O
7-Eleven
24/7
9/11
50/50
4x4
1234 5678
12 34 56
123-45
000-00-0000
1234-5678-9012-3456
1234 5678 9012 3456
1111 2222 3333 4444
a hand with 3 fingers
2 dogs run down the street
5 cars on the road
3 children cross the street
10 houses in a row
12 trees along the avenue
one way street
a 2 way street
12th Street
5th Avenue in the rain
42nd Street at night
the 101 Dalmatians
Main Street in winter
Wall Street
Abbey Road
the road to 1 000 hills
4 seasons place mats
6 Sesame Street friends
3 St Bernard dogs
1 St Nicholas
20 Mile Creek
7 Hills of Rome
8 Days a Week
Via Appia
Piazza San Marco
Calle with flowers
a straße in Berlin
Rue des fleurs
Pike Place Market
Way to go
Court number 3
Room 5, Hill House
PO Box painted red
Box 12
a tree @ home
meet @ 5 pm
2 lemons @ 50 cents
@
@ sign
email icon
e-mail envelope
at symbol
look at dot the dog
a dot com company
facebook icon
twitter bird
youtube logo
instagram camera
www
http
example.com
visit the zoo.org booth
telephone
a phone with 12 buttons
call me maybe
telephone receiver, 1950
phone box 007
dial 911
call 112
tel aviv
mobile home
fax machine
phone number
keycap 10
clock showing 10:10
speed limit 50
number 8 ball
CPF
IBAN
DNI
AB 12
QQ
social security card
credit card
bank note of 100
GB stamp
DE 2020
Germany 7 Brazil 1
""".strip().splitlines()

ORDINARY = """
a cat on a mat
two dogs playing with a red ball
The sun is shining.
grinning face
teddy bear
A boy is climbing a tall tree.
“Where is my hat?” asked the old man.
fire engine
Anansi went to the river to drink.
The three goats crossed the bridge, one by one.
a girl with a yellow umbrella
mother and child
Grandmother tells a story by the fire.
smiling face with heart eyes
a bowl of soup with a spoon
When it rains, the frogs sing.
Sipho and Thandi walk to school.
woman teacher
The lion roared: ROAR!
Once upon a time there was a hare.
seven ducks swim in the pond
He had ten fingers and ten toes.
My name is Amani. I am eight years old.
Eight-year-old Juma carried the water.
She was five years old when she saw the sea.
The baby sleeps.
a blue bus with many windows
Anna and Tom are friends.
Mr. Brown waters his flowers.
Queen Elizabeth
Tom, Anna and Leo
a drawing of a house
flag in hole
Zebra, giraffe, elephant
The market is full of mangoes.
the number five
a clock on the wall
balloon
Look! A rainbow!
a man riding a wave on a surfboard
A is for apple
the moon and the stars
three little pigs
Little Red Riding Hood
an old man with a white beard
rice and beans
The tailor sewed all night.
a nest with four eggs
a doll in a pink dress
Kofi's goat ate the maize.
a spider in its web
the wind blew the hat away
girl brushing her teeth
a train goes through a tunnel
Who is hiding behind the door?
hedgehog
strawberry
a farmer milks a cow
She jumped over the puddle.
rocket
an open book
The end.
kite in the sky
a very hungry caterpillar
big and small
left and right
up and down
hands clapping
snowman without snow
Mama cooks ugali.
a turtle on the sand
the king and the queen
a broken cup
two hearts
Wangari planted trees.
At last 100 elephants came to the river.
In 2004 she won the race.
Count from 1 to 20!
the house at number 7
a map of the town
12 o'clock, time for lunch
Grade 3 pupils sing
one two three four
""".strip().splitlines()

CLEAN = LOOK_ALIKES + ORDINARY
