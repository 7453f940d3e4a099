"""Words for times in other languages than English, and the words of all that say nothing beside a time.

Owns the tables. Knows no grammar: `languages` reads the tables, and says what each of their keys means.

Words stand apart by spaces, the words of a phrase are joined by "_", and groups are parted by "|". Accents are folded
when the tables are read. A word that ends in "~" is an everyday word as well: it means a time only beside others that
do. The names of months and weekdays, and of near days, are those of Unicode CLDR. A holiday stands with its month and
day, or with "E" and its days after Easter Sunday, and "+" and its number of days, if it has several. Holidays by
another calendar than the Gregorian one are left out.
"""

from __future__ import annotations

ENGLISH_LIGHT = """what which who whom where how when why whatever whats be am is are was were been being do
    does did done doing don didn have has had having haven hadn i me my mine myself we us our ours ourselves you
    your yours he him his she her hers they them their it its one this that these those there here s re ve d ll
    m anyone anybody anything someone somebody something everyone everybody everything all both each any some
    else a an the and or but so of on in at to from for with by about around during over between within since
    until till before after back into through throughout as if then than not no just also only even still ever
    again once more most much many few lot lots bit so far up on off out down together exactly precisely roughly
    happen happens happened happening occur occurs occurred go goes going gone went come came take took place
    get got make made talk talks talked talking say says said saying tell tells told telling discuss discussed
    discussing chat chats chatted chatting mention mentioned mentioning speak spoke spoken write wrote written
    ask asked note notes noted record recorded remember remembered recall recalled remind show give list sum
    earlier later like summarise summarize summary recap recount describe thing things stuff event events memory
    u ur r abt bout wat wot whats im ive pls plz
    memories conversation conversations message messages entry entries diary journal log news new please
"""
"""English words that say nothing beside a time, as the tokenizer folds them."""

TABLES: dict[str, dict[str, str]] = {
    "de": {
        "months": """januar jänner | februar feber | märz maerz | april | mai | juni | juli | august | september
            | oktober | november | dezember""",
        "short": "jan | feb | mrz mär | apr | | jun | jul | aug | sep sept | okt | nov | dez",
        "weekdays": """montag | dienstag | mittwoch | donnerstag | freitag | samstag sonnabend | sonntag |
            wochenende""",
        "days": "vorgestern | gestern | heute | | übermorgen",
        "morning": "morgen",
        "parts": "früh vormittag | nachmittag mittag | abend | nacht",
        "units": "tag tage tagen tages | woche wochen | monat monate monaten monats | jahr jahre jahren jahres",
        "steps": """vorletzte vorletzten vorletztes vorletzter | letzte letzten letztes letzter letztem
            vergangene vergangenen vergangenes vergangener vorige vorigen voriges voriger | diese diesen dieser
            dieses diesem | nächste nächsten nächstes nächster nächstem kommende kommenden kommendes""",
        "ago": "vor=before",
        "seasons": "frühling frühjahr | sommer | herbst | winter",
        "ordinals": """erste ersten erster erstes | zweite zweiten zweiter zweites | dritte dritten dritter
            drittes | vierte vierten vierter""",
        "numbers": """ein eine einem einer einen | zwei | drei paar ein_paar einige einigen | vier | fünf |
            sechs | sieben | acht | neun | zehn | elf | zwölf""",
        "edges": "anfang | mitte | ende",
        "since": "seit",
        "until": "bis",
        "after": "nach",
        "between": "zwischen",
        "and": "und",
        "date": "am den dem",
        "holidays": """heiligabend=1224 weihnachten=1224+3 weihnachtstage=1224+3 weihnachtsfeiertag=1225+2
            silvester=1231 neujahr=0101 neujahrstag=0101 dreikönigstag=0106 heilige_drei_könige=0106
            valentinstag=0214 rosenmontag=E-48 fasching=E-52+6 karneval=E-52+6 aschermittwoch=E-46
            karfreitag=E-2 ostern=E-2+4 ostersonntag=E0 ostermontag=E1 himmelfahrt=E39 vatertag=E39
            pfingsten=E49+2 fronleichnam=E60 tag_der_arbeit=0501 tag_der_deutschen_einheit=1003 halloween=1031
            reformationstag=1031 allerheiligen=1101 martinstag=1111 nikolaustag=1206 nikolaus~=1206""",
        "vague": "kürzlich neulich letztens unlängst in_letzter_zeit",
        "small": "vom von im in an der die das des zum zur um beim",
        "light": """hab erlebt erlebte erlebten sprach sprachen redeten unterhielten lief vorging abging
            getrieben weiter alles was wer wen wem wo wohin wie wann warum welche welcher welches ist war waren
            bin sind bist habe haben hast hat habt hatte hatten wurde wurden worden gemacht mache machen machte
            machten tun tat taten getan unternommen passiert passierte geschehen geschah los ich mich mir mein
            meine meinen wir uns unser unsere du dir dich dein deine ihr euch er sie es man da so denn
            eigentlich noch alles etwas irgendwas irgendetwas und oder aber zu mit für über auf bei nicht auch
            nur mal bitte gesprochen besprochen geredet reden erzählt erzählen erzähl erzähle sag sagen gesagt
            sagte erwähnt geschrieben unterhalten gab gibt erinnere erinnerst erinnern zusammenfassung zusammen
            fasse fass zeig zeige nenne liste dinge sachen ereignisse ereignis gespräch gespräche vorgefallen
            kannst könntest weißt alle mehr hier davon worüber dass ja""",
    },
    "es": {
        "months": """enero | febrero | marzo | abril | mayo | junio | julio | agosto | septiembre setiembre |
            octubre | noviembre | diciembre""",
        "short": "ene | feb | mar | abr | may | jun | jul | ago | sep sept set | oct | nov | dic",
        "weekdays": "lunes | martes | miércoles | jueves | viernes | sábado | domingo | fin_de_semana finde",
        "days": "anteayer antier antes_de_ayer | ayer | hoy | | pasado_mañana",
        "morning": "mañana",
        "parts": "madrugada | tarde | | noche",
        "compounds": "-1:night:anoche",
        "units": "día días | semana semanas | mes meses | año años",
        "steps": """antepasado antepasada penúltimo | pasado pasada pasados pasadas último última últimos
            últimas | este esta estos estas | próximo próxima próximos próximas que_viene""",
        "ago": "hace",
        "ago_after": "atrás",
        "seasons": "primavera | verano | otoño | invierno",
        "ordinals": "primer primera primero primeros | segundo segunda | tercer tercera tercero | cuarto cuarta",
        "numbers": """un una | dos par un_par | tres | cuatro unos unas | cinco | seis | siete | ocho | nueve |
            diez | once | doce""",
        "edges": "principios comienzos inicio comienzo | mediados | finales fines final",
        "since": "desde",
        "until": "hasta",
        "before": "antes_de antes_del",
        "after": "después_de después_del",
        "between": "entre",
        "to": "a al",
        "and": "y",
        "date": "el",
        "holidays": """nochebuena=1224 navidad=1224+2 navidades=1224+3 nochevieja=1231 año_nuevo=0101
            noche_de_reyes=0105 día_de_reyes=0106 san_valentín=0214 día_de_los_enamorados=0214
            día_de_san_josé=0319 semana_santa=E-7+8 jueves_santo=E-3 viernes_santo=E-2
            domingo_de_resurrección=E0 lunes_de_pascua=E1 día_del_trabajo=0501 día_del_trabajador=0501
            noche_de_san_juan=0623+2 día_de_san_juan=0624 día_de_la_hispanidad=1012 halloween=1031
            día_de_todos_los_santos=1101 todos_los_santos=1101 día_de_muertos=1101+2 día_de_los_muertos=1101+2
            día_de_la_constitución=1206 día_de_la_inmaculada=1208""",
        "vague": "recientemente últimamente hace_poco el_otro_día",
        "small": "º la los las de del en por durante",
        "light": """tal haciendo conté contaste comenté ocurría pasado recuerdame qué que quién quiénes dónde
            cómo cuándo cuál cuáles por_qué hice hicimos hiciste hizo hicieron hacer hacía hacíamos hacemos hago
            haciendo hecho pasó pasaba pasaron ocurrió ocurrieron sucedió sucedieron fue fui fuimos era eran
            estaba estuve estuvimos he hemos has ha había hubo hay yo me mi mis nosotros nosotras nos nuestro
            nuestra tú te tu tus usted él ella ellos ellas se lo le les ser es son somos soy y o pero con sobre
            para no también sólo todo todos algo alguna algún cosa cosas hablamos hablé hablado hablar dije
            dijimos dijo conté conté contado cuéntame contar dime decir mencioné mencionamos escribí escribimos
            comentamos discutimos charlamos recuerdas recuerda recuérdame resumen resume resúmeme puedes podrías
            lista muéstrame favor eventos evento conversación conversaciones más aquí anduve anduvimos andaba""",
    },
    "fr": {
        "months": """janvier | février | mars | avril | mai | juin | juillet | août | septembre | octobre |
            novembre | décembre""",
        "short": "janv jan | févr fév | | avr | | | juil | | | oct | nov | déc",
        "weekdays": "lundi | mardi | mercredi | jeudi | vendredi | samedi | dimanche | week_end weekend",
        "days": "avant_hier | hier | aujourd_hui | demain | après_demain",
        "parts": "matin matinée | après_midi | soir soirée | nuit",
        "units": "jour jours | semaine semaines | mois | an ans année années",
        "steps": """avant_dernier avant_dernière | dernier dernière derniers dernières passé passée | ce cet
            cette ces | prochain prochaine prochains prochaines""",
        "ago": "il_y_a",
        "seasons": "printemps | été~ | automne | hiver",
        "ordinals": "premier première premiers | deuxième second seconde | troisième | quatrième",
        "numbers": "un une | deux | trois quelques | quatre | cinq | six | sept | huit | neuf | dix | onze | douze",
        "edges": "début | mi milieu courant | fin",
        "since": "depuis",
        "until": "jusqu_à jusqu_au jusqu_en",
        "before": "avant",
        "after": "après",
        "between": "entre",
        "to": "à au",
        "and": "et",
        "date": "le",
        "holidays": """réveillon_de_noël=1224 veille_de_noël=1224 noël=1224+2 saint_sylvestre=1231
            réveillon=1231 jour_de_l_an=0101 nouvel_an=0101 épiphanie=0106 chandeleur=0202 saint_valentin=0214
            mardi_gras=E-47 vendredi_saint=E-2 pâques=E-2+4 lundi_de_pâques=E1 ascension~=E39 pentecôte=E49+2
            fête_du_travail=0501 fête_de_la_musique=0621 saint_jean~=0624 fête_nationale=0714 assomption=0815
            halloween=1031 toussaint=1101 armistice=1111""",
        "vague": "récemment dernièrement l_autre_jour ces_derniers_jours ces_derniers_temps",
        "small": "er la les l de du des d en aux dans pendant durant lors",
        "light": """racontais raconté faites fîmes arrivait s_est j_ai déroulait t que quoi qu quel quelle quels
            quelles qui où comment quand pourquoi est ce c s ça cela est_ce fait faisait faisais faisions faire
            fais faisons fis passé passait passe arrivé arrivée déroulé était étais étions étaient suis sommes
            été ai as a avons avez ont avais avait avions eu il elle on nous vous je j tu te me m moi toi mon ma
            mes ton ta tes notre nos votre vos leur y ils elles se et ou mais avec sur pour par ne n pas aussi
            tout toute tous rien chose choses quelque parlé parlait parlions parler discuté discutions dit
            disait dire dis raconté raconte raconter mentionné évoqué écrit noté rappelle rappelles souviens
            souvenir résume résumé résumer peux pourrais liste montre donne événements événement conversation
            conversations plus ici s_il te plaît plait""",
    },
    "it": {
        "months": """gennaio | febbraio | marzo | aprile | maggio | giugno | luglio | agosto | settembre |
            ottobre | novembre | dicembre""",
        "short": "gen | feb | mar | apr | mag | giu | lug | ago | set sett | ott | nov | dic",
        "weekdays": "lunedì | martedì | mercoledì | giovedì | venerdì | sabato | domenica | fine_settimana weekend",
        "days": "l_altro_ieri altro_ieri avantieri ieri_l_altro | ieri | oggi | domani | dopodomani",
        "parts": "mattina mattino mattinata | pomeriggio | sera serata | notte",
        "compounds": "0:morning:stamattina stamani | 0:evening:stasera | 0:night:stanotte",
        "units": "giorno giorni | settimana settimane | mese mesi | anno anni",
        "steps": """penultimo penultima | scorso scorsa scorsi scorse passato passata passati ultimo ultima
            ultimi ultime | questo questa questi queste quest | prossimo prossima prossimi prossime""",
        "ago_after": "fa",
        "seasons": "primavera | estate | autunno | inverno",
        "ordinals": "primo prima | secondo seconda | terzo terza | quarto quarta",
        "numbers": """un una uno | due paio un_paio | tre alcuni alcune qualche | quattro | cinque | sei | sette
            | otto | nove | dieci | undici | dodici""",
        "edges": "inizio inizi primi | metà | fine",
        "since": "da dal dalla dallo",
        "until": "fino_a fino_al",
        "before": "prima_di prima_del",
        "after": "dopo",
        "between": "tra fra",
        "to": "al a",
        "and": "e",
        "date": "il",
        "holidays": """vigilia_di_natale=1224 natale~=1224+2 santo_stefano~=1226 san_silvestro=1231
            capodanno=0101 epifania=0106 befana=0106 san_valentino=0214 festa_della_donna=0308 carnevale=E-52+6
            venerdì_santo=E-2 pasqua=E-2+4 pasquetta=E1 festa_della_liberazione=0425 festa_del_lavoro=0501
            festa_della_repubblica=0602 ferragosto=0815 halloween=1031 ognissanti=1101 immacolata=1208""",
        "vague": "recentemente ultimamente di_recente l_altro_giorno",
        "small": "º la lo i gli le l del della di nel nella nell negli nei in durante d",
        "light": """raccontavo combinato discutevamo succedeva faceva che cosa cos chi dove come quando quale
            quali perché ho abbiamo hai ha hanno avevo avevamo aveva avete fatto facevo facevamo fare faccio
            facciamo feci facemmo successo succede accaduto accadde avvenuto è era erano ero eravamo sono siamo
            stato stata stati io mi me mio mia miei noi ci nostro nostra tu ti te tuo tua lui lei loro si e o ma
            con su sul per non anche solo tutto tutti qualcosa cose parlato parlavamo parlare detto dicevo dire
            dimmi raccontato raccontami menzionato scritto discusso discusse ricordi ricorda ricordami riassunto
            riassumi riepilogo puoi potresti elenca mostra eventi evento conversazione conversazioni più qui
            andato""",
    },
    "nl": {
        "months": """januari | februari | maart | april | mei | juni | juli | augustus | september | oktober |
            november | december""",
        "short": "jan | feb febr | mrt | apr | | jun | jul | aug | sep sept | okt | nov | dec",
        "weekdays": "maandag | dinsdag | woensdag | donderdag | vrijdag | zaterdag | zondag | weekend weekeinde",
        "days": "eergisteren | gisteren | vandaag | | overmorgen",
        "morning": "morgen",
        "parts": "ochtend voormiddag | middag namiddag | avond | nacht",
        "compounds": """-1:morning:gisterochtend gisterenochtend gistermorgen | -1:afternoon:gistermiddag
            gisterenmiddag | -1:evening:gisteravond gisterenavond | -1:night:gisternacht | 0:morning:vanmorgen
            vanochtend | 0:afternoon:vanmiddag | 0:evening:vanavond | 0:night:vannacht""",
        "units": "dag dagen | week weken | maand maanden | jaar jaren",
        "steps": """eervorige voorlaatste | vorige vorig afgelopen laatste verleden | deze dit | volgende
            volgend komende komend""",
        "ago_after": "geleden",
        "seasons": "lente voorjaar | zomer | herfst najaar | winter",
        "ordinals": "eerste | tweede | derde | vierde",
        "numbers": """een | twee | drie paar een_paar enkele | vier | vijf | zes | zeven | acht | negen | tien |
            elf | twaalf""",
        "edges": "begin | half midden medio | eind einde",
        "since": "sinds vanaf",
        "until": "tot",
        "before": "voor",
        "after": "na",
        "between": "tussen",
        "and": "en",
        "date": "op",
        "holidays": """kerstavond=1224 kerst=1224+3 kerstmis=1224+3 eerste_kerstdag=1225 tweede_kerstdag=1226
            oudjaarsavond=1231 oudjaar=1231 oud_en_nieuw=1231+2 nieuwjaar=0101 nieuwjaarsdag=0101
            driekoningen=0106 valentijnsdag=0214 valentijn~=0214 carnaval=E-49+3 goede_vrijdag=E-2 pasen=E-2+4
            eerste_paasdag=E0 tweede_paasdag=E1 koningsdag=0427 dodenherdenking=0504 bevrijdingsdag=0505
            hemelvaart=E39 hemelvaartsdag=E39 pinksteren=E49+2 halloween=1031 allerheiligen=1101
            sint_maarten=1111 sinterklaas=1205 sinterklaasavond=1205 pakjesavond=1205""",
        "vague": "onlangs recent laatst pasgeleden de_laatste_tijd",
        "small": "in van e ste de het van tijdens rond om",
        "light": """vertelden gesproken hadden hield bezig meegemaakt waarover waarvan wat wie waar hoe wanneer
            waarom welke welk is was waren ben bent zijn heb hebben hebt heeft had hadden gedaan doen deed deden
            doe gebeurd gebeurde gebeurden gebeurt er ik me mij mijn wij we ons onze jij je jou jouw u uw hij
            zij ze hun hen het dat die dit en of maar met over aan voor naar niet ook nog alles iets al gezegd
            zei zeggen zeg verteld vertel vertellen vertelde gesproken spraken praten gepraat gehad besproken
            bespraken genoemd geschreven herinner herinneren samenvatting vat samen kun kan kunt zou toon lijst
            dingen zaken gebeurtenissen gesprek gesprekken meer hier eens alstublieft alsjeblieft toen""",
    },
    "pl": {
        "months": """styczeń stycznia styczniu | luty lutego lutym | marzec marca marcu | kwiecień kwietnia
            kwietniu | maj maja maju | czerwiec czerwca czerwcu | lipiec lipca lipcu | sierpień sierpnia
            sierpniu | wrzesień września wrześniu | październik października październiku | listopad listopada
            listopadzie | grudzień grudnia grudniu""",
        "weekdays": """poniedziałek poniedziałku poniedziałku | wtorek wtorku | środa środę środy | czwartek
            czwartku | piątek piątku | sobota sobotę soboty | niedziela niedzielę niedzieli | weekend weekendu""",
        "days": "przedwczoraj onegdaj | wczoraj | dzisiaj dziś | jutro | pojutrze",
        "parts": "rano ranek przedpołudniem | popołudnie popołudniu po_południu | wieczór wieczorem | noc nocy",
        "units": """dzień dnia dni dniach | tydzień tygodnia tygodnie tygodni tygodniu | miesiąc miesiąca
            miesiące miesięcy miesiącu | rok roku lata lat""",
        "steps": """przedostatni przedostatnim | zeszły zeszła zeszłą zeszłym zeszłej zeszłego ubiegły ubiegła
            ubiegłą ubiegłym ubiegłej ubiegłego ostatni ostatnia ostatnią ostatnie ostatnich ostatnim ostatniego
            poprzedni poprzednim | ten ta tę tym tej tego | przyszły przyszła przyszłą przyszłym przyszłej
            następny następna następną następnym najbliższy""",
        "ago_after": "temu",
        "bare_ago": "yes",
        "seasons": "wiosna wiosną wiosnę | lato~ latem | jesień jesienią | zima zimą zimę",
        "ordinals": """pierwszy pierwsza pierwszym pierwszego | drugi druga drugim drugiego | trzeci trzecia
            trzecim | czwarty czwarta czwartym""",
        "numbers": """jeden jedną | dwa dwie dwóch parę | trzy trzech kilka kilku | cztery | pięć | sześć |
            siedem | osiem | dziewięć | dziesięć | jedenaście | dwanaście""",
        "edges": "początek początku | połowa połowie połowy | koniec końcu końca",
        "since": "od",
        "until": "do",
        "before": "przed",
        "after": "po",
        "between": "między pomiędzy",
        "and": "a i",
        "date": "dnia",
        "holidays": """wigilia=1224 wigilię=1224 wigilii=1224 boże_narodzenie=1224+3 bożego_narodzenia=1224+3
            sylwester~=1231 sylwestra~=1231 nowy_rok=0101 trzech_króli=0106 walentynki=0214 walentynek=0214
            dzień_kobiet=0308 tłusty_czwartek=E-52 wielki_piątek=E-2 wielkanoc=E-2+4 wielkanocy=E-2+4
            lany_poniedziałek=E1 majówka=0501+3 majówkę=0501+3 boże_ciało=E60 halloween=1031
            wszystkich_świętych=1101 święto_niepodległości=1111 andrzejki=1129 mikołajki=1206""",
        "vague": "niedawno ostatnio",
        "small": "w we na z ze podczas",
        "light": """mówiłeś mówiłaś robisz robimy opowiadałam zajmowałem zajmowałam działy rozmawiać co kto kogo
            gdzie jak kiedy dlaczego który która które jest był była było byli byłem byłam byliśmy byłyśmy są
            robiłem robiłam robiliśmy robiłyśmy robił robiła robić zrobiłem zrobiłam zrobiliśmy stało działo
            wydarzyło zdarzyło się ja mnie mi mój moja moje my nas nam nasz nasza ty ciebie ci cię twój on ona
            ono oni one to i lub albo ale z o do dla nie też tylko wszystko coś rzeczy mówiłem mówiłam mówiliśmy
            mówić powiedziałem powiedziałam powiedz powiedzieć rozmawialiśmy rozmawiałem rozmawiałam opowiedz
            opowiadałem pisałem pisałam wspomniałem wspomniałam omawialiśmy pamiętasz przypomnij podsumuj
            podsumowanie możesz mógłbyś lista pokaż wydarzenia rozmowa rozmowy więcej tu tam proszę miało
            miejsce czym czy""",
    },
    "pt": {
        "months": """janeiro | fevereiro | março | abril | maio | junho | julho | agosto | setembro | outubro |
            novembro | dezembro""",
        "short": "jan | fev | mar | abr | mai | jun | jul | ago | set | out | nov | dez",
        "weekdays": """segunda_feira segunda~ | terça_feira terça~ | quarta_feira quarta~ | quinta_feira quinta~
            | sexta_feira sexta~ | sábado | domingo | fim_de_semana final_de_semana""",
        "days": "anteontem antes_de_ontem | ontem | hoje | amanhã | depois_de_amanhã",
        "parts": "manhã madrugada | tarde | | noite",
        "units": "dia dias | semana semanas | mês meses | ano anos",
        "steps": """penúltimo penúltima retrasado retrasada | passado passada passados passadas último última
            últimos últimas | este esta estes estas neste nesta esse essa nesse nessa | próximo próxima próximos
            próximas que_vem""",
        "ago": "há faz",
        "ago_after": "atrás",
        "seasons": "primavera | verão | outono | inverno",
        "ordinals": "primeiro primeira | segundo | terceiro terceira | quarto",
        "numbers": """um uma | dois duas par um_par | três | quatro alguns algumas uns umas | cinco | seis |
            sete | oito | nove | dez | onze | doze""",
        "edges": "início começo princípio | meados meio | fim final finais",
        "since": "desde",
        "until": "até",
        "before": "antes_de antes_do",
        "after": "depois_de depois_do após",
        "between": "entre",
        "to": "a ao",
        "and": "e",
        "date": "dia no_dia",
        "holidays": """véspera_de_natal=1224 natal~=1224+2 réveillon=1231 passagem_de_ano=1231 ano_novo=0101
            dia_de_reis=0106 são_valentim=0214 dia_da_mulher=0308 carnaval=E-50+5 sexta_feira_santa=E-2
            páscoa=E-2+4 tiradentes=0421 dia_do_trabalho=0501 dia_do_trabalhador=0501 corpus_christi=E60
            santo_antónio~=0613 são_joão~=0624 dia_da_independência=0907 halloween=1031 todos_os_santos=1101
            finados=1102 proclamação_da_república=1115""",
        "vague": "recentemente ultimamente há_pouco outro_dia",
        "small": "º o os as de do da dos das em no na nos nas durante à pela",
        "light": """rolou rolava conversei andamos andava contamos que quê quem onde como quando qual quais
            por_que fiz fizemos fez fizeram fazer fazia fazíamos faço fazendo feito aconteceu aconteceram houve
            passou passava foi fui fomos era eram estava estive estivemos tenho temos tinha tem há eu me mim meu
            minha meus minhas nós nos nosso nossa tu você vocês te ti teu tua seu sua ele ela eles elas se lhe
            ser é são somos sou e ou mas com sobre para não também só tudo todos algo alguma coisa coisas
            falamos falei falou falar disse dissemos dizer diga diz contei conta contar contou mencionei
            mencionamos escrevi escrevemos conversamos discutimos lembra lembras lembre resumo resume resuma
            pode podes poderia lista mostra mostre favor eventos evento conversa conversas mais aqui andei
            a_gente gente isso""",
    },
    "tr": {
        "months": """ocak ocakta ocağı | şubat şubatta | mart martta | nisan nisanda | mayıs mayısta | haziran
            haziranda | temmuz temmuzda | ağustos ağustosta | eylül eylülde | ekim ekimde | kasım kasımda |
            aralık aralıkta""",
        "weekdays": "pazartesi | salı | çarşamba | perşembe | cuma | cumartesi | pazar | hafta_sonu haftasonu",
        "days": "evvelsi_gün önceki_gün | dün | bugün | yarın | öbür_gün ertesi_gün",
        "parts": "sabah sabahı | öğleden_sonra öğlen | akşam akşamı | gece gecesi",
        "units": "gün | hafta haftada | ay ayda | yıl yılda yılında sene",
        "steps": "| geçen geçtiğimiz son önceki | bu | gelecek önümüzdeki",
        "ago_after": "önce=before",
        "bare_ago": "yes",
        "seasons": "ilkbahar bahar ilkbaharda | yaz~ yazın | sonbahar güz sonbaharda | kış kışın",
        "ordinals": "ilk birinci | ikinci | üçüncü | dördüncü",
        "numbers": "bir | iki | üç birkaç | dört | beş | altı | yedi | sekiz | dokuz | on | on_bir | on_iki",
        "edges": "başı başında | ortası ortasında | sonu sonunda",
        "since": "beri itibaren",
        "until": "kadar",
        "after": "sonra",
        "date": "ayın",
        "holidays": """yılbaşı=1231+2 yılbaşında=1231+2 yılbaşı_gecesi=1231 sevgililer_günü=0214
            sevgililer_gününde=0214 kadınlar_günü=0308 çocuk_bayramı=0423 çocuk_bayramında=0423
            işçi_bayramı=0501 gençlik_bayramı=0519 zafer_bayramı=0830 zafer_bayramında=0830
            cumhuriyet_bayramı=1029 cumhuriyet_bayramında=1029 noel~=1224+2 noelde=1224+2""",
        "vague": "geçenlerde yakınlarda son_zamanlarda",
        "small": """ten tan den dan ü ı i u ünde inde ında unda sı si nde nda günü gününde ayında yılında içinde
            boyunca da de ta te ki""",
        "light": """yapıyorduk olmuştu konuştun anlattım söylemiştim yapmışım ne neler kim kimler nerede nereye
            nasıl neden hangi yaptım yaptık yaptı yaptın yaptınız yapmıştım yapmıştık yapıyordum yapıyorduk
            yapmak oldu olmuş olan olanlar oldular vardı var yok idi ben beni bana benim biz bizi bize bizim sen
            seni sana senin siz o onu ona onun onlar şey şeyler ve veya ama ile hakkında için değil her hepsi
            konuştuk konuştum konuşmuştuk konuşuldu söyledim söyledin söyledik söyledi dedim dedik anlattım
            anlat anlattın bahsettim bahsettik yazdım yazdık hatırlıyor hatırla musun mı mi mu mü özetle özet
            özetler misin olay olaylar konuşma konuşmalar listele göster lütfen daha tarihinde üzerine""",
    },
    "ru": {
        "months": """январь января январе | февраль февраля феврале | март марта марте | апрель апреля апреле |
            май мая мае | июнь июня июне | июль июля июле | август августа августе | сентябрь сентября сентябре
            | октябрь октября октябре | ноябрь ноября ноябре | декабрь декабря декабре""",
        "weekdays": """понедельник понедельника | вторник вторника | среда среду среды | четверг четверга |
            пятница пятницу пятницы | суббота субботу субботы | воскресенье воскресенья | выходные выходных""",
        "days": "позавчера | вчера | сегодня | завтра | послезавтра",
        "parts": "утро утром | днём после_обеда | вечер вечером | ночь ночью",
        "units": """день дня дней дни | неделя неделю недели недель неделе | месяц месяца месяцев месяце месяцы
            | год года лет году годы""",
        "steps": """позапрошлый позапрошлая позапрошлую позапрошлой позапрошлом позапрошлые | прошлый прошлым
            прошлая прошлую прошлой прошлом прошлое прошлого прошлые прошлых последний последние последних
            последнюю последняя минувший минувшие | этот эта эту этой этом этого эти этих | следующий следующая
            следующую следующей следующем следующего будущий будущем будущей""",
        "ago_after": "назад",
        "bare_ago": "yes",
        "seasons": "весна весной весну весны | лето летом лета | осень осенью осени | зима зимой зиму зимы",
        "ordinals": """первый первая первую первой первом | второй вторая вторую втором | третий третья третью
            третьей третьем | четвёртый четвёртая четвёртую""",
        "numbers": """один одну одна | два две пару пара | три несколько | четыре | пять | шесть | семь | восемь
            | девять | десять | одиннадцать | двенадцать""",
        "edges": "начало начале | середина середине | конец конце",
        "since": "с со начиная_с",
        "until": "до",
        "before": "до перед",
        "after": "после",
        "between": "между",
        "to": "по",
        "and": "и",
        "date_after": "числа",
        "holidays": """новый_год=1231+2 рождество=0106+2 старый_новый_год=0113 день_святого_валентина=0214
            день_влюблённых=0214 женский_день=0308 первомай=0501 день_победы=0509 день_россии=0612
            день_знаний=0901 хэллоуин=1031""",
        "vague": "недавно на_днях в_последнее_время",
        "small": "го м в во на за из о об течение",
        "light": """занимался занималась занимались делала рассказывали обсудили беседовали чём то а что чего
            чем кто кого где куда как когда почему какой какая какие какое я мне меня мой моя мои мы нам нас наш
            наша наши ты тебе тебя твой вы вам вас ваш он она оно они это то и или но с у к для не ли ещё еще
            тоже только всё все всего делал делала делали делать делаю сделал сделала сделали было был была были
            есть быть произошло происходило случилось случалось говорил говорила говорили говорить сказал
            сказала сказали скажи рассказал рассказала рассказывал рассказывала расскажи обсуждали обсуждал
            обсуждала писал писала писали написал упоминал упоминала вспомни помнишь напомни подведи итоги итог
            резюмируй можешь мог мог_бы список покажи события событие разговор разговоры беседа больше здесь там
            пожалуйста чём нём происходит""",
    },
    "ar": {
        "months": """يناير كانون_الثاني | فبراير شباط | مارس آذار | أبريل إبريل نيسان | مايو أيار | يونيو حزيران
            | يوليو تموز | أغسطس آب | سبتمبر أيلول | أكتوبر تشرين_الأول | نوفمبر تشرين_الثاني | ديسمبر
            كانون_الأول""",
        "weekdays": """الاثنين الإثنين | الثلاثاء | الأربعاء | الخميس | الجمعة | السبت | الأحد |
            عطلة_نهاية_الأسبوع نهاية_الأسبوع""",
        "days": "أول_أمس أول_من_أمس | أمس الأمس بالأمس البارحة | اليوم | غدا غدًا | بعد_غد",
        "parts": "صباح صباحا الصباح | ظهر بعد_الظهر ظهرا | مساء المساء | ليل ليلة الليلة ليلا",
        "units": """أيام يوما | أسبوع أسابيع أسبوعا الأسبوع الأسابيع | شهر أشهر شهور شهرا الشهر الأشهر | سنة
            سنوات عام أعوام عاما السنة العام السنوات""",
        "pairs": "يومين | أسبوعين | شهرين | سنتين عامين",
        "steps": """| الماضي الماضية المنصرم المنصرمة الفائت الفائتة الأخيرة | هذا هذه الحالي الحالية | القادم
            القادمة المقبل المقبلة""",
        "ago": "قبل=before منذ=since",
        "bare_ago": "yes",
        "seasons": "الربيع ربيع | الصيف صيف | الخريف خريف | الشتاء شتاء",
        "ordinals": "الأول الأولى | الثاني الثانية | الثالث الثالثة | الرابع الرابعة",
        "numbers": """واحد واحدة | | ثلاثة ثلاث بضعة عدة | أربعة أربع | خمسة خمس | ستة ست | سبعة سبع | ثمانية
            ثماني | تسعة تسع | عشرة عشر""",
        "edges": "أوائل بداية مطلع | منتصف أواسط | أواخر نهاية آخر",
        "until": "حتى",
        "after": "بعد",
        "between": "بين",
        "to": "إلى",
        "and": "و",
        "date": "يوم",
        "holidays": "رأس_السنة=1231+2 عيد_الميلاد=1224+2 عيد_الحب=0214 عيد_العمال=0501",
        "vague": "مؤخرا مؤخرًا حديثا",
        "small": "في خلال من ال",
        "light": """فعلته حدثتك تكلمت حكيت أخبرت ماذا ما هل متى أين من كيف لماذا أي الذي التي ذا فعلت فعلنا فعل
            أفعل نفعل عملت عملنا عمل حدث حدثت حصل حصلت جرى جرت كان كانت كنا كنت قلت قلنا قال أقول تحدثنا تحدثت
            تكلمنا تكلمت ناقشنا ناقشت أخبرتك أخبرني أخبرتني ذكرت ذكرنا كتبت كتبنا أنا نحن أنت أنتم هو هي هم لي
            لنا لك معي معك معنا به بها عن على إلى مع لم لا شيء أشياء أمور كل بعض لخص لخصي ملخص تذكر تتذكر اذكر
            قل أحداث حدثا محادثة محادثات حول عنه عنها يوم بيننا""",
    },
    "th": {
        "months": """มกราคม เดือนมกราคม | กุมภาพันธ์ เดือนกุมภาพันธ์ | มีนาคม เดือนมีนาคม | เมษายน เดือนเมษายน |
            พฤษภาคม เดือนพฤษภาคม | มิถุนายน เดือนมิถุนายน | กรกฎาคม เดือนกรกฎาคม | สิงหาคม เดือนสิงหาคม |
            กันยายน เดือนกันยายน | ตุลาคม เดือนตุลาคม | พฤศจิกายน เดือนพฤศจิกายน | ธันวาคม เดือนธันวาคม""",
        "weekdays": """วันจันทร์ จันทร์ | วันอังคาร อังคาร | วันพุธ พุธ | วันพฤหัส วันพฤหัสบดี พฤหัส พฤหัสบดี |
            วันศุกร์ ศุกร์ | วันเสาร์ เสาร์ | วันอาทิตย์ | สุดสัปดาห์ วันหยุดสุดสัปดาห์""",
        "days": """เมื่อวานซืน เมื่อวานซืนนี้ | เมื่อวาน เมื่อวานนี้ | วันนี้ | พรุ่งนี้ วันพรุ่งนี้ | มะรืน
            มะรืนนี้""",
        "parts": "ตอนเช้า เช้า | ตอนบ่าย บ่าย | ตอนเย็น เย็น ค่ำ | ตอนกลางคืน กลางคืน คืน",
        "compounds": """-1:night:เมื่อคืน เมื่อคืนนี้ | 0:morning:เช้านี้ เมื่อเช้า เมื่อเช้านี้ |
            0:night:คืนนี้ | 0:evening:เย็นนี้""",
        "units": "วัน | สัปดาห์ อาทิตย์ | เดือน | ปี",
        "steps": "| ที่ผ่านมา | นี้ | หน้า",
        "ago_after": "ที่แล้ว ก่อน",
        "days_ago": "วันที่แล้ว วันที่ผ่านมา",
        "ago_is_last": "yes",
        "seasons": "ฤดูใบไม้ผลิ | ฤดูร้อน หน้าร้อน | ฤดูใบไม้ร่วง | ฤดูหนาว หน้าหนาว",
        "ordinals": "แรก ที่หนึ่ง | ที่สอง | ที่สาม | ที่สี่",
        "numbers": "หนึ่ง | สอง | สาม ไม่กี่ สองสาม | สี่ | ห้า | หก | เจ็ด | แปด | เก้า | สิบ | สิบเอ็ด | สิบสอง",
        "edges": "ต้น ต้นเดือน ต้นปี | กลาง กลางเดือน กลางปี | ปลาย ปลายเดือน ปลายปี สิ้น",
        "since": "ตั้งแต่",
        "until": "จนถึง",
        "to": "ถึง",
        "date": "วันที่",
        "holidays": """วันปีใหม่=1231+2 ปีใหม่=1231+2 วันวาเลนไทน์=0214 วาเลนไทน์=0214 วันจักรี=0406
            วันสงกรานต์=0413+3 สงกรานต์=0413+3 วันแรงงาน=0501 วันแม่=0812 ฮาโลวีน=1031 วันพ่อ=1205
            วันคริสต์มาส=1224+2 คริสต์มาส=1224+2""",
        "vague": "เมื่อเร็วๆนี้ ช่วงนี้ ไม่นานมานี้",
        "small": "ใน เมื่อ ตอน ช่วง ของ",
        "light": """อะไร ทำ เกิด เกิดขึ้น ขึ้น ฉัน ผม เรา ดิฉัน หนู คุณ เธอ เขา พวก พวกเรา ได้ ไป มา บ้าง ไหม
            มั้ย หรือ ที่ไหน ไหน ใคร เมื่อไร เมื่อไหร่ อย่างไร ยังไง คุย พูด บอก เล่า เรื่อง กัน กับ มี เป็น
            อยู่ คือ แล้ว และ ก็ ว่า ให้ ครับ ค่ะ คะ นะ หน่อย ช่วย สรุป จำ สิ่ง เหตุการณ์ ทั้งหมด ถึง เกี่ยวกับ
            ฟัง ที่ ทุก อย่าง ไว้""",
    },
    "zh": {
        "months": "一月 | 二月 | 三月 | 四月 | 五月 | 六月 | 七月 | 八月 | 九月 | 十月 | 十一月 | 十二月",
        "weekdays": """周一 週一 星期一 礼拜一 禮拜一 | 周二 週二 星期二 礼拜二 禮拜二 | 周三 週三 星期三 礼拜三
            禮拜三 | 周四 週四 星期四 礼拜四 禮拜四 | 周五 週五 星期五 礼拜五 禮拜五 | 周六 週六 星期六 礼拜六
            禮拜六 | 周日 週日 星期日 星期天 礼拜日 礼拜天 禮拜日 禮拜天 周天 | 周末 週末""",
        "days": "前天 前日 | 昨天 昨日 昨儿 | 今天 今日 今儿 | 明天 明日 明儿 | 后天 後天",
        "parts": "早上 早晨 上午 清晨 | 下午 中午 | 晚上 傍晚 | 夜里 夜裡 半夜 夜晚 深夜",
        "compounds": "-1:night:昨晚 昨夜 | 0:morning:今早 今晨 | 0:evening:今晚 今夜",
        "units": "天 | 周 週 星期 个星期 個星期 礼拜 个礼拜 禮拜 個禮拜 | 个月 個月 月 | 年",
        "steps": "上上 上上个 上上個 | 上 上个 上個 过去 過去 过去的 過去的 近 | 这 这个 這 這個 本 | 下 下个 下個",
        "calendar": "year:-2:前年 | year:-1:去年 | year:0:今年 | year:1:明年",
        "seasons": "春天 春季 | 夏天 夏季 | 秋天 秋季 | 冬天 冬季",
        "ago_after": "前=before 之前=before 以前=before",
        "ordinals": "第一 第一个 第一個 | 第二 第二个 第二個 | 第三 第三个 第三個 | 第四 第四个 第四個",
        "numbers": "一 | 二 两 兩 | 三 几 幾 | 四 | 五 | 六 | 七 | 八 | 九 | 十 | 十一 | 十二",
        "edges": "初 上旬 | 中旬 中 | 底 末 下旬",
        "since": "自从 自從 以来 以來 起 自",
        "until": "到 直到",
        "after": "后 後 之后 之後 以后 以後",
        "to": "至",
        "date_after": "号 號 日",
        "holidays": """元旦=0101 情人节=0214 情人節=0214 妇女节=0308 婦女節=0308 愚人节=0401 愚人節=0401
            清明=0404+2 清明节=0404+2 清明節=0404+2 劳动节=0501 勞動節=0501 五一=0501+3 儿童节=0601 兒童節=0601
            教师节=0910 国庆=1001+7 国庆节=1001+7 国庆假期=1001+7 國慶日=1010 双十一=1111 雙十一=1111
            万圣节=1031 萬聖節=1031 平安夜=1224 圣诞=1224+2 聖誕=1224+2 圣诞节=1224+2 聖誕節=1224+2 跨年=1231
            跨年夜=1231""",
        "vague": "最近 近来 近來 这几天 這幾天 前几天 前幾天 前些天 不久前",
        "small": "从 從 在 的 于 於",
        "light": """我 我们 我們 咱们 咱們 你 您 你们 你們 他 她 它 他们 他們 们 們 做 干 幹 搞 弄 了 什么 什麼
            啥 哪些 哪里 哪裡 哪儿 哪兒 哪 谁 誰 怎么 怎麼 怎样 怎樣 怎么样 怎麼樣 如何 发生 發生 过 過 地 得 是
            有 没有 沒有 没 沒 吗 嗎 呢 吧 啊 呀 嘛 事 事情 事儿 聊 聊天 谈 談 谈论 談論 说 說 讲 講 讨论 討論
            提到 提 告诉 告訴 记得 記得 记录 記錄 记 記 总结 總結 回顾 回顧 列出 列 给 給 和 跟 与 與 关于 關於
            那 那天 都 还 還 也 又 到底 究竟 请 請 一下 情况 情況 些 个 個 去 来 來 能 可以 可 时候 時候 时 時
            内容 內容 所有 全部 话题 話題 写 寫 帮 幫 不""",
    },
    "ja": {
        "months": "一月 | 二月 | 三月 | 四月 | 五月 | 六月 | 七月 | 八月 | 九月 | 十月 | 十一月 | 十二月",
        "weekdays": """月曜日 月曜 | 火曜日 火曜 | 水曜日 水曜 | 木曜日 木曜 | 金曜日 金曜 | 土曜日 土曜 |
            日曜日 日曜 | 週末""",
        "days": "一昨日 おととい | 昨日 きのう | 今日 きょう 本日 | 明日 あした | 明後日 あさって",
        "parts": "朝 午前 午前中 | 午後 昼 | 夕方 晩 | 夜 夜中",
        "compounds": "-1:night:昨夜 昨晩 ゆうべ | 0:morning:今朝 けさ | 0:evening:今晩 今夜",
        "units": "日間 | 週 週間 | か月 ヶ月 カ月 ヵ月 箇月 か月間 ヶ月間 | 年 年間",
        "steps": "| この前の 前の 前回の 過去 | この | 今度の 次の 来たる",
        "calendar": """year:-2:一昨年 おととし | year:-1:去年 昨年 | year:0:今年 | year:1:来年 | month:-2:先々月
            | month:-1:先月 | month:0:今月 | month:1:来月 | week:-2:先々週 | week:-1:先週 | week:0:今週 |
            week:1:来週""",
        "ago_after": "前 まえ",
        "seasons": "春 | 夏 | 秋 | 冬",
        "ordinals": "最初の 第一 第1 | 第二 第2 | 第三 第3 | 第四 第4",
        "numbers": "一 | 二 | 三 数 | 四 | 五 | 六 | 七 | 八 | 九 | 十 | 十一 | 十二",
        "edges": "初め はじめ 初旬 上旬 の初め | 半ば 中旬 の半ば | 末 下旬 の終わり 終わり",
        "since": "以来 から 以降",
        "until": "まで",
        "date_after": "日",
        "holidays": """元日=0101 元旦=0101 正月=0101+3 お正月=0101+3 節分=0203 建国記念日=0211 バレンタイン=0214
            バレンタインデー=0214 ひな祭り=0303 ホワイトデー=0314 昭和の日=0429 ゴールデンウィーク=0429+7
            憲法記念日=0503 こどもの日=0505 七夕=0707 山の日=0811 お盆=0813+4 ハロウィン=1031 文化の日=1103
            勤労感謝の日=1123 クリスマスイブ=1224 クリスマス=1224+2 大晦日=1231""",
        "vague": "最近 先日 このあいだ この間 近頃",
        "small": "の に は も で を が と へ には では",
        "light": """る てる てた っけ 言ったっけ だったっけ したっけ してた どうだった 覚えてる 覚えている 何
            なに なん なにか どこ 誰 だれ いつ どう どんな どの どうした した しました して していた
            していました している しています する しましたか たか 行 い いた いました ました ます です でした
            だった だ た か ね よ な こと もの 事 話 話し 話した 話しました 話題 話を 私 私たち 私達 わたし
            わたしたち 僕 僕たち 僕ら 俺 あなた 君 たち 達 起き 起きた 起きました 起こっ 起こった あった
            ありました あり ある 教えて 教え ください 下さい くれ まとめて まとめ 覚えて 覚え いる います 出来事
            会話 言った 言いました 言っ 伝え 伝えた 書いた 書い 書きました 過ごし やった やりました やっ やって
            について 全部 すべて 様子 ような 一緒 ん って 思い出し 思い出""",
    },
    "ko": {
        "months": "일월 | 이월 | 삼월 | 사월 | 오월 | 유월 | 칠월 | 팔월 | 구월 | 시월 | 십일월 | 십이월",
        "weekdays": "월요일 | 화요일 | 수요일 | 목요일 | 금요일 | 토요일 | 일요일 | 주말",
        "days": "그저께 그제 엊그제 엊그저께 | 어제 | 오늘 | 내일 | 모레",
        "parts": "아침 오전 | 오후 낮 | 저녁 | 밤",
        "compounds": "-1:night:어젯밤 간밤 지난밤",
        "units": "날 | 주 주일 주간 | 달 개월 | 년 해",
        "steps": "지지난 저저번 | 지난 저번 | 이번 | 다음",
        "calendar": "year:-2:재작년 | year:-1:작년 지난해 | year:0:올해 금년 | year:1:내년",
        "ago_after": "전=before",
        "seasons": "봄 | 여름 | 가을 | 겨울",
        "ordinals": "첫 첫째 첫번째 | 둘째 두번째 | 셋째 세번째 | 넷째 네번째",
        "numbers": "한 | 두 | 세 몇 | 네 | 다섯 | 여섯 | 일곱 | 여덟 | 아홉 | 열 | 열한 | 열두",
        "edges": "초 초순 초에 | 중순 | 말 하순",
        "since": "부터 이후",
        "until": "까지",
        "date_after": "일",
        "holidays": """새해_첫날=0101 발렌타인데이=0214 밸런타인데이=0214 삼일절=0301 화이트데이=0314
            어린이날=0505 어버이날=0508 현충일=0606 광복절=0815 개천절=1003 한글날=1009 할로윈=1031 핼러윈=1031
            빼빼로데이=1111 크리스마스이브=1224 크리스마스=1224+2 성탄절=1224+2""",
        "vague": "최근 요즘 며칠전 며칠_전 얼마전 얼마_전",
        "small": "에 에는 은 는 의 이 가 을 를 도 로 에서 동안 때",
        "light": """뭐라고 라고 였더라 했더라 있었더라 더라 나눴어 나눴지 뭐 뭘 무엇 무슨 어디 누구 언제 어떻게
            어떤 왜 했 했어 했어요 했나요 했나 했지 했더라 했습니까 했는지 하고 한 하는 했던 있었 있었어
            있었어요 있었나요 있었나 있었지 있었습니까 있었던 있었는지 있 있어 우리 우리가 나 나는 내 내가 저
            저는 제 제가 너 네가 당신 당신에게 너에게 너한테 이야기 얘기 이야기했 얘기했 말 말했 말한 나눴 나눈
            대화 대해 알려줘 알려 줘 주세요 줄래 요약 요약해 정리 정리해 기억 기억나 나요 요 어 니 까 지 지요 것
            거 게 들 과 와 랑 하 해 일들 무슨일 생겼 일어났 일어난 났 던 다 모두 적었 썼 보냈 지냈 였 였지 였어
            습니까 인가요""",
    },
}
