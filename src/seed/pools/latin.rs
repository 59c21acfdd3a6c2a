//! Languages of western Europe and of the Americas, in Latin letters.

use super::{NameOrder, Words};

pub(super) const WORDS: &[Words] = &[
    Words {
        code: "en",
        women: "Alice,Amelia,Beatrice,Charlotte,Chloe,Daisy,Eleanor,Emily,Fiona,Grace,Hannah,Imogen,Isla,Jasmine,Lily,Lucy,\
            Maisie,Matilda,Molly,Niamh,Olivia,Phoebe,Rosie,Ruby,Siobhan,Tamsin",
        men: "Aidan,Alfie,Arthur,Callum,Charlie,Declan,Edward,Ewan,Finlay,George,Harry,Henry,Isaac,Jack,Jacob,Liam,Logan,\
            Lucas,Noah,Oliver,Oscar,Rhys,Samuel,Theodore,Thomas,William",
        surnames: "Adams,Ashworth,Baker,Bennett,Carter,Clarke,Cooper,Davies,Ellis,Evans,Fletcher,Foster,Green,Hughes,Jones,\
            Kelly,Lloyd,MacDonald,MacLeod,Marsh,Mitchell,Morgan,O'Brien,O'Connor,O'Sullivan,Palmer,Parker,Reid,Shaw,Smith,\
            Smith-Jones,Taylor,Turner,Walker,Webster,Wood,Wright",
        titles: "Dr.,Prof.,Sir,Dame,Rev.",
        cities: "Springfield;Illinois;62701,Portland;Oregon;97201,Madison;Wisconsin;53703,Austin;Texas;78701,Burlington;Vermont;05401,\
            Santa Fe;New Mexico;87501",
        streets: "# Maple Avenue,# Elm Street,# Harbour Road,# Mill Lane,# Station Road,# Oak Drive,# Church Street,# Park Row",
        country: "United States",
        companies: "Northwind Instruments,Bluebell Foods,Copperfield Press,Harbour Lights Shipping,Larkspur Textiles,\
            Old Mill Bakery,Silverbirch Energy,Wren & Daughters",
        jobs: "Accountant,Baker,Civil engineer,Data analyst,Gardener,Head of sales,Nurse,Project manager,Software developer,Teacher",
        departments: "Accounts,Customer care,Development,Marketing,Operations,Sales",
        note: "Met at the trade fair. Prefers to be called in the afternoon.",
        landline: "+1 312 555 01xx",
        mobile: "+1 206 555 01xx",
        order: NameOrder::GivenFirst,
    },
    Words {
        code: "de",
        women: "Anja,Annegret,Brigitte,Clara,Dörte,Elke,Franziska,Greta,Hannelore,Ingrid,Jana,Käthe,Katharina,Lea,Lieselotte,\
            Marie,Mathilda,Nele,Paula,Rosemarie,Sabine,Sophie,Ulrike,Ursula,Wiebke",
        men: "Alexander,Andreas,Björn,Christoph,Dieter,Emil,Felix,Friedrich,Günther,Hans-Peter,Heinrich,Jörg,Jürgen,\
            Karl-Heinz,Konrad,Lukas,Matthias,Niklas,Otto,Paul,Rüdiger,Stefan,Thomas,Uwe,Wolfgang",
        surnames: "Bauer,Becker,Böhm,Brückner,Fischer,Fuchs,Großmann,Günther,Hoffmann,Huber,Jäger,Kaiser,Keller,Köhler,Krüger,\
            Lang,Maier,Meyer,Möller,Müller,Neumann,Özdemir,Richter,Schäfer,Schmidt,Schneider,Schröder,Schultz,Strauß,\
            von Bergen,von der Heide,Wagner,Weber,Weiß,Zimmermann",
        titles: "Dr.,Prof. Dr.,Dipl.-Ing.,Dr. med.",
        cities: "Berlin;Berlin;10115,Göttingen;Niedersachsen;37073,Köln;Nordrhein-Westfalen;50667,Lübeck;Schleswig-Holstein;23552,\
            München;Bayern;80331,Tübingen;Baden-Württemberg;72070",
        streets: "Ahornweg #,Bahnhofstraße #,Gartenstraße #,Goethestraße #,Kirchgasse #,Lindenallee #,Mühlenweg #,Schloßplatz #",
        country: "Deutschland",
        companies: "Blaustern Optik GmbH,Fichtenwald Möbel KG,Gebrüder Amsel OHG,Hafenkontor AG,Kupferkessel GmbH,\
            Morgenrot Verlag,Nordlicht Energie GmbH,Schlüsselblume e.K.",
        jobs: "Ärztin,Bauingenieur,Buchhalterin,Entwicklerin,Gärtner,Krankenpfleger,Lehrerin,Tischler,Übersetzerin,Verkaufsleiter",
        departments: "Buchhaltung,Einkauf,Entwicklung,Geschäftsführung,Kundendienst,Vertrieb",
        note: "Auf der Messe kennengelernt. Ruft am liebsten nachmittags zurück.",
        landline: "+49 30 23125 xxx",
        mobile: "+49 152 28817 xxx",
        order: NameOrder::GivenFirst,
    },
    Words {
        code: "fr",
        women: "Adèle,Agnès,Amélie,Anaïs,Aurélie,Béatrice,Camille,Céline,Chloé,Clémence,Élodie,Émilie,Françoise,Geneviève,\
            Hélène,Inès,Jeanne,Joséphine,Léa,Manon,Marie-Claire,Mathilde,Noémie,Océane,Zoé",
        men: "Adrien,André,Antoine,Baptiste,Benoît,Cédric,Clément,Didier,Étienne,Fabien,François,Gaël,Guillaume,Hugo,\
            Jean-Luc,Jérôme,Joël,Léo,Loïc,Maël,Mathieu,Noël,Rémi,Sébastien,Théo",
        surnames: "Bérard,Besnard,Blanchard,Bonnet,Carpentier,Chevalier,d'Aubigny,de La Fontaine,Delorme,du Pré,Dubois,Durand,\
            Fabre,Faure,Garnier,Gauthier,Girard,Guérin,Lambert,Le Goff,Lefèvre,Lemaître,Leroy,Marchand,Mercier,Meunier,\
            Moreau,Noël,Perrin,Renault,Rousseau,Thévenot,Vasseur",
        titles: "Dr,Me,Pr",
        cities: "Besançon;Bourgogne-Franche-Comté;25000,Lyon;Auvergne-Rhône-Alpes;69001,Nîmes;Occitanie;30000,\
            Orléans;Centre-Val de Loire;45000,Paris;Île-de-France;75011,Saint-Étienne;Auvergne-Rhône-Alpes;42000",
        streets: "# rue des Érables,# avenue de la Gare,# place de l'Église,# chemin du Moulin,# boulevard Voltaire,# quai du Port,\
            # impasse des Lilas,# rue du Marché",
        country: "France",
        companies: "Atelier du Hêtre,Boulangerie Épi d'Or,Cuivre & Fils SARL,Éditions du Phare,Étoile Bleue SAS,Lavande Conseil,\
            Marée Haute SA,Verrerie Aurore",
        jobs: "Boulanger,Comptable,Développeuse,Enseignante,Infirmière,Ingénieur,Jardinier,Libraire,Médecin,Traductrice",
        departments: "Achats,Comptabilité,Direction générale,Développement,Qualité,Ventes",
        note: "Rencontré au salon. Préfère être appelé l'après-midi.",
        landline: "+33 1 99 00 xx xx",
        mobile: "+33 6 39 98 xx xx",
        order: NameOrder::GivenFirst,
    },
    Words {
        code: "es",
        women: "Aitana,Ángela,Begoña,Belén,Carmen,Concepción,Dolores,Elena,Esperanza,Inés,Itziar,Jimena,Lucía,María José,Marisol,\
            Mónica,Nieves,Núria,Paloma,Pilar,Rocío,Sofía,Valentina,Ximena",
        men: "Adrián,Álvaro,Andrés,Ángel,Borja,César,Diego,Íñigo,Iván,Javier,Jesús,Joaquín,José María,Julián,Martín,Matías,\
            Miguel Ángel,Nicolás,Óscar,Raúl,Rubén,Santiago,Sebastián,Tomás",
        surnames: "Álvarez,Aragón,Benítez,Castaño,Cortés,de la Cruz,de la Fuente,Del Río,Díaz,Domínguez,Echeverría,Fernández,\
            Gallego,García,Gómez,González,Hernández,Ibáñez,Jiménez,López,Martínez,Muñoz,Núñez,Ortega,Peña,Pérez,Quiñones,\
            Ramírez,Rodríguez,Sánchez,Suárez,Vázquez,Zúñiga",
        titles: "Dr.,Dra.,Lic.,Ing.",
        cities: "A Coruña;Galicia;15001,Cádiz;Andalucía;11001,León;Castilla y León;24001,Logroño;La Rioja;26001,\
            Madrid;Comunidad de Madrid;28004,Málaga;Andalucía;29001",
        streets: "Calle Mayor #,Calle del Olmo #,Avenida de la Constitución #,Plaza de España #,Calle San José #,Paseo del Río #,\
            Calle Jardín #,Camino Viejo #",
        country: "España",
        companies: "Aceites La Cigüeña,Bodegas Montaña S.L.,Cerámica Añil,Editorial Faro,Hermanos Muñiz S.A.,Luz del Sur,\
            Panadería El Trébol,Textiles Río Claro",
        jobs: "Abogada,Arquitecto,Contable,Diseñadora,Enfermero,Ingeniera,Jardinero,Maestra,Médico,Panadero",
        departments: "Administración,Atención al cliente,Compras,Dirección,Producción,Ventas",
        note: "Nos conocimos en la feria. Prefiere que le llamen por la tarde.",
        landline: "+34 000 xxx xxx",
        mobile: "+34 000 6xx xxx",
        order: NameOrder::TwoSurnames,
    },
    Words {
        code: "pt",
        women: "Ágata,Amélia,Beatriz,Benedita,Catarina,Cecília,Conceição,Débora,Fátima,Fernanda,Glória,Inês,Iolanda,Joana,Júlia,\
            Letícia,Luísa,Mafalda,Matilde,Natália,Rita,Sílvia,Tânia,Vitória",
        men: "Afonso,André,António,Armando,Caetano,César,Cristóvão,Duarte,Estêvão,Fábio,Gonçalo,Inácio,João,Joaquim,Júlio,Lourenço,\
            Luís,Martim,Otávio,Paulo,Rúben,Simão,Tomás,Vítor",
        surnames: "Almeida,Araújo,Azevedo,Barbosa,Brandão,Cardoso,Coelho,da Conceição,da Silva,de Sá,Dias,dos Santos,Esteves,Falcão,\
            Fonseca,Gonçalves,Guimarães,Lourenço,Magalhães,Melo,Moura,Nóbrega,Nogueira,Oliveira,Pacheco,Pereira,Queirós,\
            Ribeiro,Simões,Teixeira,Vasconcelos",
        titles: "Dr.,Dra.,Eng.",
        cities: "Belém;Pará;66010-000,Brasília;Distrito Federal;70040-010,Florianópolis;Santa Catarina;88010-000,\
            Goiânia;Goiás;74003-010,São Luís;Maranhão;65010-000,São Paulo;São Paulo;01001-000",
        streets: "Rua das Flores #,Rua do Comércio #,Avenida da Independência #,Travessa São João #,Rua Nova #,Praça da Sé #,\
            Alameda dos Ipês #,Rua da Praia #",
        country: "Brasil",
        companies: "Açúcar Andorinha,Café Manhã Ltda.,Cerâmica Areal,Editora Farol,Irmãos Sabiá S.A.,Padaria Pão de Mel,\
            Transportes Maré,Vidros Aurora",
        jobs: "Advogada,Arquiteto,Contador,Desenvolvedora,Enfermeiro,Engenheira,Jardineiro,Médica,Padeiro,Professora",
        departments: "Atendimento,Compras,Direção,Finanças,Produção,Vendas",
        note: "Conhecemo-nos na feira. Prefere ligações à tarde.",
        landline: "+55 00 0000-xxxx",
        mobile: "+55 00 90000-xxxx",
        order: NameOrder::TwoSurnames,
    },
    Words {
        code: "it",
        women: "Alessia,Annalisa,Beatrice,Bianca,Caterina,Chiara,Donatella,Elisa,Federica,Fiamma,Gaia,Giulia,Ilaria,Letizia,Lucia,\
            Margherita,Martina,Noemi,Ornella,Raffaella,Serena,Simonetta,Sveva,Virginia",
        men: "Alessandro,Andrea,Bruno,Carlo,Claudio,Davide,Elia,Enzo,Fabrizio,Gabriele,Gianluca,Giacomo,Giosuè,Leonardo,Lorenzo,\
            Marco,Matteo,Niccolò,Pietro,Riccardo,Salvatore,Tommaso,Umberto,Vincenzo",
        surnames: "Amato,Barbieri,Bianchi,Caruso,Colombo,Conti,D'Angelo,D'Amico,De Luca,De Santis,Del Vecchio,Di Marco,Esposito,\
            Fabbri,Ferrari,Fontana,Galli,Gentile,Giordano,Greco,Lo Presti,Lombardi,Mancini,Marchetti,Nicolò,Orlando,Pellegrini,\
            Ricci,Rinaldi,Rossi,Sartori,Serra,Villa",
        titles: "Dott.,Dott.ssa,Ing.,Avv.",
        cities: "Bologna;Emilia-Romagna;40121,Cefalù;Sicilia;90015,Forlì;Emilia-Romagna;47121,Genova;Liguria;16121,Lecce;Puglia;73100,\
            Torino;Piemonte;10121",
        streets: "Via Roma #,Via Garibaldi #,Piazza del Duomo #,Corso Italia #,Via dei Tigli #,Vicolo Stretto #,Viale della Libertà #,\
            Via San Francesco #",
        country: "Italia",
        companies: "Caffè Scirocco,Ceramiche Onda S.r.l.,Editrice Faro,Filati Girasole,Fratelli Merlo S.n.c.,Mobilificio Quercia,\
            Olio Serra Bianca,Tipografia Aurora",
        jobs: "Architetto,Avvocata,Cuoco,Falegname,Giardiniera,Infermiera,Ingegnere,Insegnante,Programmatrice,Ragioniere",
        departments: "Acquisti,Amministrazione,Assistenza,Direzione,Qualità,Vendite",
        note: "Conosciuto in fiera. È meglio chiamare nel pomeriggio.",
        landline: "+39 000 xxx xxxx",
        mobile: "+39 000 3xx xxxx",
        order: NameOrder::GivenFirst,
    },
    Words {
        code: "nl",
        women: "Aleida,Anouk,Elske,Fleur,Femke,Geertje,Hendrika,Ilse,Janneke,Jolien,Lieke,Loïs,Maaike,Marijke,Mieke,Noor,Renée,\
            Roos,Saskia,Sjoukje,Tess,Veerle,Willemijn,Zoë",
        men: "Bas,Bram,Cornelis,Daan,Diederik,Floris,Geert,Hendrik,Jasper,Jeroen,Joost,Koen,Lars,Maarten,Niek,Pieter,Rein,Ruben,\
            Sander,Sjoerd,Teun,Thijs,Willem,Wouter",
        surnames: "Bakker,Bos,Brouwer,de Boer,de Graaf,de Jong,de Vries,Dekker,Dijkstra,Hoekstra,Huisman,Jansen,Kok,Kuipers,Meijer,\
            Mulder,Peters,Postma,Smit,ten Broek,ter Horst,van 't Hof,van Beek,van den Berg,van der Meer,van der Veen,van Dijk,\
            van Leeuwen,Verbeek,Vermeulen,Visser,Willems",
        titles: "dr.,ir.,mr.,drs.",
        cities: "Assen;Drenthe;9401 AA,Delft;Zuid-Holland;2611 AA,Groningen;Groningen;9711 AA,Haarlem;Noord-Holland;2011 AA,\
            Maastricht;Limburg;6211 AA,'s-Hertogenbosch;Noord-Brabant;5211 AA",
        streets: "Dorpsstraat #,Kerkplein #,Molenweg #,Lindelaan #,Havenkade #,Prinsengracht #,Schoolstraat #,Stationsplein #",
        country: "Nederland",
        companies: "Bakkerij De Korenaar,Blauwe Vlinder B.V.,De Vuurtoren Uitgeverij,Drukkerij Klaproos,Gebroeders Merel V.O.F.,\
            Kwekerij Oosterlicht,Noorderzon Energie B.V.,Scheepswerf Het Anker",
        jobs: "Accountant,Bakker,Docent,Hovenier,Huisarts,Ingenieur,Ontwikkelaar,Timmerman,Verkoper,Verpleegkundige",
        departments: "Boekhouding,Directie,Inkoop,Klantenservice,Ontwikkeling,Verkoop",
        note: "Ontmoet op de beurs. Liever 's middags bellen.",
        landline: "+31 00 000 xxxx",
        mobile: "+31 6 0000 xxxx",
        order: NameOrder::GivenFirst,
    },
    Words {
        code: "sv",
        women: "Agnes,Alva,Åsa,Astrid,Birgitta,Ebba,Elin,Frida,Gunilla,Hedvig,Ingegerd,Kajsa,Karin,Linnéa,Lovisa,Maj-Britt,Märta,\
            Ronja,Saga,Signe,Sigrid,Tuva,Vendela,Wilma",
        men: "Anders,Arvid,Axel,Björn,Elias,Erik,Folke,Göran,Gösta,Gustav,Håkan,Hjalmar,Isak,Jörgen,Lars-Åke,Magnus,Måns,Nils,\
            Olle,Örjan,Sixten,Sören,Viggo,Åke",
        surnames: "Åberg,Åström,Ahlström,Andersson,Bergqvist,Björklund,Dahlgren,Ekström,Eriksson,Forsberg,Fredriksson,Gustafsson,\
            Hägglund,Hallström,Holmberg,Johansson,Karlsson,Lindqvist,Löfgren,Lundström,Nilsson,Norström,Nyström,Öberg,Östlund,\
            Persson,Sandström,Sjögren,Söderberg,Svensson,Wallin",
        titles: "Dr,Prof.",
        cities: "Gävle;Gävleborg;803 10,Jönköping;Jönköping;553 16,Luleå;Norrbotten;972 31,Malmö;Skåne;211 20,Örebro;Örebro;702 10,\
            Umeå;Västerbotten;903 25",
        streets: "Björkvägen #,Storgatan #,Kyrkogatan #,Ängsvägen #,Hamngatan #,Skolgatan #,Södra vägen #,Åsgränd #",
        country: "Sverige",
        companies: "Blåklint Trädgård AB,Fyrskeppet Förlag,Granskog Möbler AB,Havsörn Rederi AB,Norrsken Energi AB,Rönnbär Bageri,\
            Syskonen Ärla HB,Älvkraft AB",
        jobs: "Bagare,Ekonom,Ingenjör,Lärare,Läkare,Sjuksköterska,Snickare,Systemutvecklare,Säljare,Trädgårdsmästare",
        departments: "Ekonomi,Försäljning,Inköp,Kundtjänst,Ledning,Utveckling",
        note: "Vi träffades på mässan. Ring helst på eftermiddagen.",
        landline: "+46 8 465 004 xx",
        mobile: "+46 70 174 06 xx",
        order: NameOrder::GivenFirst,
    },
];
