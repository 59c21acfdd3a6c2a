//! Languages of eastern and southern Europe and of the countries around: Latin letters with many marks, Greek, Cyrillic, Arabic
//! and Hebrew.

use super::{NameOrder, Words};

pub(super) const WORDS: &[Words] = &[
    Words {
        code: "pl",
        women: "Agnieszka,Aleksandra,Bożena,Celina,Danuta,Elżbieta,Gabriela,Grażyna,Halina,Iwona,Jadwiga,Kinga,Łucja,Małgorzata,\
            Oliwia,Róża,Stanisława,Weronika,Wiesława,Zofia,Żaneta",
        men: "Andrzej,Bartłomiej,Bogusław,Czesław,Dariusz,Franciszek,Grzegorz,Jędrzej,Kazimierz,Krzysztof,Łukasz,Maciej,Mieczysław,\
            Michał,Paweł,Przemysław,Rafał,Stanisław,Tomasz,Wojciech,Zbigniew",
        surnames: "Adamczyk,Błaszczyk,Czarnecki/Czarnecka,Dąbrowski/Dąbrowska,Głowacki/Głowacka,Górski/Górska,Jabłoński/Jabłońska,\
            Kaczmarek,Kołodziej,Kowalczyk,Kowalski/Kowalska,Król,Krawczyk,Łuczak,Mazur,Nowak,Ostrowski/Ostrowska,Piątek,\
            Rutkowski/Rutkowska,Sikora,Szczepański/Szczepańska,Szymański/Szymańska,Wąsik,Wiśniewski/Wiśniewska,Wójcik,\
            Woźniak,Zając,Zieliński/Zielińska,Żak",
        titles: "dr,prof.,inż.,mgr",
        cities: "Bydgoszcz;kujawsko-pomorskie;85-001,Gdańsk;pomorskie;80-001,Kraków;małopolskie;30-001,Łódź;łódzkie;90-001,\
            Poznań;wielkopolskie;60-001,Wrocław;dolnośląskie;50-001",
        streets: "ul. Lipowa #,ul. Kościelna #,ul. Młyńska #,ul. Długa #,ul. Szkolna #,al. Wolności #,plac Zamkowy #,ul. Źródlana #",
        country: "Polska",
        companies: "Bursztyn sp. z o.o.,Drukarnia Żuraw,Huta Zorza S.A.,Księgarnia Świt,Piekarnia Kłos,Sad Wiśniowy,Słonecznik sp. j.,\
            Żagle i Liny S.A.",
        jobs: "Inżynier,Księgowa,Lekarka,Nauczyciel,Ogrodniczka,Piekarz,Pielęgniarka,Programista,Sprzedawca,Stolarz",
        departments: "Dyrekcja,Księgowość,Obsługa klienta,Rozwój,Sprzedaż,Zaopatrzenie",
        note: "Poznaliśmy się na targach. Najlepiej dzwonić po południu.",
        landline: "+48 00 000 xx xx",
        mobile: "+48 000 xxx xxx",
        order: NameOrder::GivenFirst,
    },
    Words {
        code: "cs",
        women: "Adéla,Alžběta,Běla,Blažena,Dagmar,Eliška,Františka,Hedvika,Jiřina,Kateřina,Lenka,Ludmila,Markéta,Nikola,Růžena,Soňa,\
            Štěpánka,Terezie,Věra,Zdeňka,Žofie",
        men: "Bohumil,Bořivoj,Ctirad,Dalibor,František,Jáchym,Jindřich,Jiří,Kryštof,Ladislav,Luboš,Matěj,Mikuláš,Ondřej,Přemysl,\
            Radomír,Řehoř,Štěpán,Tomáš,Vojtěch,Zdeněk",
        surnames: "Beneš/Benešová,Čermák/Čermáková,Černý/Černá,Doležal/Doležalová,Dvořák/Dvořáková,Fiala/Fialová,Hájek/Hájková,\
            Holý/Holá,Horák/Horáková,Jelínek/Jelínková,Kadlec/Kadlecová,Konečný/Konečná,Kučera/Kučerová,Křížek/Křížková,\
            Malý/Malá,Němec/Němcová,Novák/Nováková,Novotný/Novotná,Pospíšil/Pospíšilová,Procházka/Procházková,Růžička/Růžičková,\
            Říha/Říhová,Sedláček/Sedláčková,Svoboda/Svobodová,Šimek/Šimková,Urban/Urbanová,Veselý/Veselá,Žák/Žáková",
        titles: "Ing.,Mgr.,MUDr.,doc.",
        cities: "Brno;Jihomoravský kraj;602 00,České Budějovice;Jihočeský kraj;370 01,Hradec Králové;Královéhradecký kraj;500 02,\
            Olomouc;Olomoucký kraj;779 00,Plzeň;Plzeňský kraj;301 00,Zlín;Zlínský kraj;760 01",
        streets: "Lipová #,Nádražní #,Školní #,Mlýnská #,Pod Hřištěm #,Náměstí Míru #,U Řeky #,Růžová #",
        country: "Česko",
        companies: "Bratři Kosové s.r.o.,Knihkupectví Úsvit,Křišťál a.s.,Maják nakladatelství,Pekařství Žitný klas,Slunečnice s.r.o.,\
            Šípkový sad,Vltavín a.s.",
        jobs: "Architektka,Lékařka,Pekař,Programátor,Prodejce,Strojní inženýr,Truhlář,Učitelka,Účetní,Zahradník",
        departments: "Nákup,Obchod,Ředitelství,Účtárna,Vývoj,Zákaznický servis",
        note: "Seznámili jsme se na veletrhu. Volat raději odpoledne.",
        landline: "+420 000 xxx xxx",
        mobile: "+420 000 7xx xxx",
        order: NameOrder::GivenFirst,
    },
    Words {
        code: "hu",
        women: "Ágnes,Anikó,Boglárka,Csilla,Dóra,Emőke,Erzsébet,Éva,Fruzsina,Ibolya,Ilona,Judit,Katalin,Kinga,Lívia,Márta,Orsolya,\
            Piroska,Réka,Zsófia,Zsuzsanna",
        men: "Ábel,András,Árpád,Balázs,Béla,Csaba,Dénes,Előd,Ernő,Ferenc,Gábor,György,István,János,Jenő,László,Lőrinc,Mátyás,Miklós,\
            Sándor,Zoltán",
        surnames: "Antal,Balogh,Bíró,Bognár,Csonka,Deák,Erdős,Fehér,Fodor,Gál,Hegedűs,Horváth,Jakab,Juhász,Kálmán,Kerekes,Kovács,\
            Lukács,Mészáros,Molnár,Nagy,Németh,Oláh,Pásztor,Rácz,Sípos,Szabó,Szűcs,Takács,Tóth,Vörös",
        titles: "dr.,prof.",
        cities: "Debrecen;Hajdú-Bihar;4024,Eger;Heves;3300,Győr;Győr-Moson-Sopron;9021,Pécs;Baranya;7621,Szeged;Csongrád-Csanád;6720,\
            Székesfehérvár;Fejér;8000",
        streets: "Fő utca #.,Kossuth tér #.,Petőfi utca #.,Malom köz #.,Hársfa utca #.,Erdősor #.,Templom tér #.,Vasút utca #.",
        country: "Magyarország",
        companies: "Aranyalma Kft.,Borostyán Zrt.,Világítótorony Kiadó,Kék Madár Bt.,Napraforgó Kft.,Őszi Pékség,Rézüst Kft.,Tölgyfa Bútor",
        jobs: "Asztalos,Ápolónő,Eladó,Kertész,Könyvelő,Mérnök,Orvos,Pék,Programozó,Tanárnő",
        departments: "Beszerzés,Értékesítés,Fejlesztés,Könyvelés,Ügyfélszolgálat,Vezetőség",
        note: "A kiállításon ismerkedtünk meg. Inkább délután hívható.",
        landline: "+36 00 000 xxx",
        mobile: "+36 00 000 xxxx",
        order: NameOrder::FamilyFirst,
    },
    Words {
        code: "tr",
        women: "Ayşe,Bahar,Çiğdem,Defne,Dilek,Elif,Esra,Fatma,Gülşen,Hatice,İpek,Melike,Nazlı,Nilüfer,Özge,Pınar,Şebnem,Tuğba,\
            Ümran,Yağmur,Zeynep",
        men: "Ahmet,Barış,Burak,Can,Çağlar,Doğan,Emre,Fırat,Gökhan,Hüseyin,İbrahim,İsmail,Kağan,Mehmet,Oğuz,Ömer,Süleyman,Şükrü,\
            Tuğrul,Ümit,Yiğit",
        surnames: "Acar,Aksoy,Arslan,Aydın,Bulut,Çelik,Çetin,Demir,Doğan,Erdoğdu,Güler,Güneş,Işık,Kahraman,Kaplan,Karadağ,Kılıç,\
            Koç,Öztürk,Özkan,Polat,Şahin,Şen,Taş,Tekin,Türkmen,Uçar,Ünal,Yıldız,Yılmaz",
        titles: "Dr.,Prof. Dr.,Av.",
        cities: "Bursa;Bursa;16000,Eskişehir;Eskişehir;26000,Iğdır;Iğdır;76000,İzmir;İzmir;35000,Muğla;Muğla;48000,Trabzon;Trabzon;61000",
        streets: "Atatürk Caddesi No: #,Çınar Sokak No: #,Gül Sokak No: #,İstasyon Caddesi No: #,Köprü Sokak No: #,Liman Caddesi No: #,\
            Okul Sokak No: #,Zeytin Sokak No: #",
        country: "Türkiye",
        companies: "Altın Başak Fırını,Çınar Mobilya A.Ş.,Deniz Feneri Yayınları,Güneş Enerji A.Ş.,Kardeşler Ltd. Şti.,Mavi Kuş Tekstil,\
            Yakut Cam San.,Zeytindalı Gıda",
        jobs: "Avukat,Bahçıvan,Doktor,Fırıncı,Hemşire,Marangoz,Mühendis,Muhasebeci,Öğretmen,Yazılımcı",
        departments: "Ar-Ge,Muhasebe,Müşteri hizmetleri,Satın alma,Satış,Yönetim",
        note: "Fuarda tanıştık. Öğleden sonra aranmayı tercih ediyor.",
        landline: "+90 000 000 xx xx",
        mobile: "+90 000 5xx xx xx",
        order: NameOrder::GivenFirst,
    },
    Words {
        code: "el",
        women: "Αγγελική,Αθηνά,Αικατερίνη,Άννα,Βασιλική,Γεωργία,Δέσποινα,Δήμητρα,Ειρήνη,Ελένη,Ευαγγελία,Ζωή,Θεοδώρα,Ιωάννα,Κωνσταντίνα,\
            Μαρία,Ουρανία,Σοφία,Φωτεινή,Χριστίνα",
        men: "Αλέξανδρος,Ανδρέας,Άρης,Βασίλειος,Γεώργιος,Δημήτριος,Ευάγγελος,Ηλίας,Θεόδωρος,Ιωάννης,Κωνσταντίνος,Λεωνίδας,Μιχαήλ,\
            Νικόλαος,Οδυσσέας,Παναγιώτης,Σπυρίδων,Στέφανος,Φίλιππος,Χρήστος",
        surnames: "Αγγελόπουλος/Αγγελοπούλου,Αλεξίου,Αντωνίου,Βλάχος/Βλάχου,Γεωργίου,Δημητρίου,Ζαχαρίας/Ζαχαρία,Ιωάννου,\
            Καραγιάννης/Καραγιάννη,Κωνσταντίνου,Λαμπρόπουλος/Λαμπροπούλου,Μακρής/Μακρή,Νικολάου,Οικονόμου,Παπαδάκης/Παπαδάκη,\
            Παπαδόπουλος/Παπαδοπούλου,Παππάς/Παππά,Σαμαράς/Σαμαρά,Σταθόπουλος/Σταθοπούλου,Τσακίρης/Τσακίρη,Χατζής/Χατζή",
        titles: "Δρ.,Καθ.",
        cities: "Αθήνα;Αττική;105 57,Βόλος;Θεσσαλία;382 21,Ηράκλειο;Κρήτη;712 01,Θεσσαλονίκη;Κεντρική Μακεδονία;546 24,\
            Ιωάννινα;Ήπειρος;453 32,Πάτρα;Δυτική Ελλάδα;262 21",
        streets: "Οδός Ελαιών #,Οδός Θάλασσας #,Λεωφόρος Ειρήνης #,Πλατεία Δημαρχείου #,Οδός Σχολείου #,Οδός Μύλου #",
        country: "Ελλάδα",
        companies: "Αυγή Εκδόσεις,Γαλάζιος Φάρος Α.Ε.,Ελαιώνας Ε.Π.Ε.,Ηλιοτρόπιο,Νησί Ναυτιλιακή,Φούρνος ο Στάχυς",
        jobs: "Αρχιτέκτονας,Γιατρός,Δασκάλα,Κηπουρός,Λογιστής,Μηχανικός,Νοσηλεύτρια,Προγραμματιστής",
        departments: "Διοίκηση,Εξυπηρέτηση,Λογιστήριο,Πωλήσεις",
        note: "Γνωριστήκαμε στην έκθεση. Προτιμά τηλέφωνο το απόγευμα.",
        landline: "+30 000 000 xxxx",
        mobile: "+30 000 6xx xxxx",
        order: NameOrder::GivenFirst,
    },
    Words {
        code: "ru",
        women: "Алёна,Анастасия,Анна,Варвара,Вера,Галина,Дарья,Екатерина,Елизавета,Зоя,Ирина,Ксения,Людмила,Марина,Надежда,Наталья,Ольга,\
            Полина,Светлана,Татьяна,Юлия",
        men: "Александр,Алексей,Борис,Виктор,Владимир,Григорий,Дмитрий,Евгений,Егор,Иван,Илья,Кирилл,Константин,Лев,Максим,Михаил,\
            Николай,Пётр,Семён,Фёдор,Юрий",
        surnames: "Алексеев/Алексеева,Белов/Белова,Богданов/Богданова,Волков/Волкова,Воробьёв/Воробьёва,Голубев/Голубева,\
            Зайцев/Зайцева,Иванов/Иванова,Киселёв/Киселёва,Ковалёв/Ковалёва,Козлов/Козлова,Кузнецов/Кузнецова,Лебедев/Лебедева,\
            Морозов/Морозова,Никитин/Никитина,Новиков/Новикова,Орлов/Орлова,Павлов/Павлова,Петров/Петрова,Попов/Попова,\
            Семёнов/Семёнова,Смирнов/Смирнова,Соколов/Соколова,Толстой/Толстая,Фёдоров/Фёдорова,Чайковский/Чайковская,Щукин/Щукина",
        titles: "д-р,проф.",
        cities: "Владимир;Владимирская область;600000,Казань;Татарстан;420000,Новосибирск;Новосибирская область;630000,\
            Псков;Псковская область;180000,Томск;Томская область;634000,Ярославль;Ярославская область;150000",
        streets: "ул. Садовая #,ул. Берёзовая #,ул. Школьная #,пр. Мира #,ул. Речная #,Цветочный пер. #",
        country: "Россия",
        companies: "Берёзка,Восход,Голубая птица,Издательство Маяк,Подсолнух,Хлебный дом,Янтарь",
        jobs: "Архитектор,Бухгалтер,Врач,Инженер,Медсестра,Пекарь,Переводчик,Программист,Садовник,Учитель",
        departments: "Бухгалтерия,Дирекция,Отдел продаж,Разработка,Снабжение",
        note: "Познакомились на выставке. Звонить лучше после обеда.",
        landline: "+7 000 000-xx-xx",
        mobile: "+7 000 9xx-xx-xx",
        order: NameOrder::Patronymic,
    },
    Words {
        code: "ar",
        women: "آمنة,أسماء,أمل,بسمة,جميلة,حنان,خديجة,ريم,زينب,سلمى,سميرة,عائشة,فاطمة,ليلى,مريم,منى,نادية,نور,هالة,ياسمين",
        men: "أحمد,إبراهيم,إسماعيل,بلال,جمال,حسن,خالد,رشيد,زياد,سامي,سعيد,صالح,طارق,عبد الرحمن,عبد الله,علي,عمر,محمد,محمود,يوسف",
        surnames: "الأندلسي,البغدادي,التونسي,الجزائري,الحداد,الحلبي,الخطيب,الخوري,الدمشقي,الزهراني,السيد,الشامي,الصباغ,العطار,العلي,\
            القاسمي,القرشي,المصري,المغربي,النجار,بن صالح,بن يوسف,حمدان,سليمان",
        titles: "د.,م.,أ.د.",
        cities: "الإسكندرية;الإسكندرية;21500,الرباط;الرباط سلا القنيطرة;10000,القاهرة;القاهرة;11511,تونس;تونس;1000,عمّان;العاصمة;11118,\
            حلب;حلب;00000",
        streets: "شارع الزيتون #,شارع النخيل #,شارع البحر #,شارع السلام #,شارع المدرسة #,شارع السوق #",
        country: "مصر",
        companies: "شركة الفجر,مؤسسة النور,دار المنارة للنشر,مخبز السنابل,شركة الياسمين,الإخوة للتجارة",
        jobs: "طبيبة,مهندس,معلمة,محاسب,خباز,ممرضة,مترجم,مبرمجة",
        departments: "الإدارة,المبيعات,المحاسبة,التطوير,خدمة العملاء",
        note: "تعرفنا في المعرض. يفضل الاتصال بعد الظهر.",
        landline: "+20 0 0000 xxxx",
        mobile: "+20 00 0000 xxxx",
        order: NameOrder::GivenFirst,
    },
    Words {
        code: "he",
        women: "אביגיל,איילת,אסתר,דבורה,הדס,ורד,חנה,טליה,יעל,כרמית,לאה,מאיה,מיכל,נועה,עדי,רבקה,רות,רחל,שירה,תמר",
        men: "אברהם,איתי,אלון,אריאל,בנימין,גיל,דוד,דניאל,חיים,יהודה,יונתן,יוסף,יצחק,לירון,משה,נדב,עומר,רועי,שלמה,תום",
        surnames: "אביטל,אזולאי,אלמוג,בן דוד,בן חיים,ברק,גולן,דהן,הררי,זהבי,חדד,כהן,כץ,לוי,מזרחי,נחמני,סגל,עמיר,פרידמן,צור,רוזן,שפירא,שרון",
        titles: "ד״ר,פרופ׳,עו״ד",
        cities: "באר שבע;הדרום;8410001,חיפה;חיפה;3100001,ירושלים;ירושלים;9100001,נהריה;הצפון;2230001,תל אביב;תל אביב;6100001",
        streets: "רחוב הזית #,רחוב הים #,רחוב הגפן #,שדרות השלום #,רחוב בית הספר #,רחוב הנחל #",
        country: "ישראל",
        companies: "מאפיית השיבולת,הוצאת המגדלור,חמנית בע״מ,אור הבוקר,האחים דרור,ענבר טכנולוגיות",
        jobs: "רופאה,מהנדס,מורה,רואת חשבון,אופה,אחות,מתרגם,מתכנתת",
        departments: "הנהלה,מכירות,הנהלת חשבונות,פיתוח,שירות לקוחות",
        note: "נפגשנו בתערוכה. מעדיף שיחה אחר הצהריים.",
        landline: "+972 0 000 xxxx",
        mobile: "+972 00 000 xxxx",
        order: NameOrder::GivenFirst,
    },
];
