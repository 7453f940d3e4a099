"""The words of orders to a model, in classes. Data only; `engram.text.orders` knows what the classes mean together.

A word that ends in "*" stands for all words that begin so. Two words that are joined by "_" must follow each other.
Words of languages that write no spaces are found anywhere in a text.
"""

from __future__ import annotations

WORDS: dict[str, str] = {
    # Names of the reader that only a model has.
    "model": """
        ai ais llm llms gpt chatgpt copilot gemini chatbot chatbots language_model language_models language_modelling
        ai-* llm-* answer_engine answer_engines ai_assistant digital_helpers digital_assistants ki ki-* sprachmodell*
        sprach-ki ia modèle_de modèles_de modelo_de modelos_de intelligenza_artificiale inteligencia_artificial
        intelligence_artificielle taalmodel* ai-assistent* model_językowy modele_językowe sztuczna_inteligencja
        нейросет* ии ии-* языковая_модель языковой_модели языковые_модели yapay_zeka språkmodell* إلى_المساعد
        المساعد_الذكي الذكاء_الاصطناعي एआई
    """,
    # Names of the reader that people have, too.
    "helper": """
        assistant assistants agent agents bot bots model models helper helpers reviewer reviewers summariser
        summarizer claude system assistent* assistante asistente* assistente* assistenti modelo* modèle* asystent*
        ассистент* бот* модел* помощник* asistan* ajan* المساعد مساعد सहायक asisten
    """,
    # Whom a model serves.
    "user": """
        user users user's whoever visitor visitors customer customers reader readers client clients caller recipient
        nutzer* benutzer* anwender* kunde* utilisateur* usuario* usuário* utilizador* utente utenti gebruiker*
        użytkownik* пользовател* kullanıcı* användar* المستخدم उपयोगकर्ता pengguna
    """,
    "people": """
        somebody someone anybody anyone people person human humans buyer they them everyone everybody others jemand
        quelqu'un alguien alguém qualcuno iemand ktoś кто-то кто-нибудь biri någon
    """,
    # That something is asked or mentioned.
    "asked": """
        asked asks ask asking question questions query queries inquires inquiry requested request requests mentions
        mentioned brought_up comes_up come_up came_up topic subject arises queried wonders says prompted gefragt fragt
        frage fragen anfrage* nachfrag* erwähnt demande demandé demander interrog* évoqu* parle pregunta* preguntan
        pregunten pregunte consulta* menciona* pergunta* perguntem perguntar mencionar chiede chiedono chiesto domand*
        parla vraagt vraag vragen gevraagd pyta pytan* zapyta* pytanie spyta* спрос* спраш* вопрос* запро* sorarsa
        sorduğunda sorulduğunda sorulursa sorusu sorar frågar frågas tillfrågas سأل سئل السؤال सवाल पूछे bertanya
        ditanya
    """,
    # That an order holds for more than now.
    "scope": """
        whenever from_now every_time each_time next_time in_future future henceforth hereafter onwards onward
        no_matter whatever regardless until_told by_default every_answer every_reply every_response each_answer
        each_reply each_response all_later later_answers all_answers all_replies all_future any_mention every_mention
        each_mention your_summary your_answer your_reply your_output your_response your_answers your_replies from_then
        afterwards right_answer correct_answer correct_completion only_answer all_further every_conversation
        all_conversations permanently at_once künftig zukünftig ab_jetzt ab_sofort von_nun jedes_mal jedesmal
        nächste_mal nächsten_mal egal désormais dorénavant chaque_fois prochaine_fois à_partir systématiquement
        ahora_en partir_de adelante cada_vez próxima_vez todas_las agora_em doravante diante toda_vez ogni_volta
        d'ora_in prossima_volta vanaf_nu elke_keer volgende_keer voortaan od_teraz od_tej za_każdym następnym_razem
        odtąd отныне впредь каждый_раз следующий_раз теперь обязательно bundan_sonra her_seferinde bir_dahaki från_nu
        hädanefter varje_gång nästa_gång من_الآن अब_से mulai_sekarang
    """,
    # The same, but also said of habits.
    "ever": """
        always never immer nie niemals stets toujours jamais siempre nunca sempre mai altijd nooit zawsze nigdy всегда
        никогда her_zaman asla alltid aldrig دائماً دائما أبداً कभी हमेशा selalu only
    """,
    # That an order waits for something.
    "condition": """
        if when whenever once as_soon upon in_case should_anybody should_anyone should_someone should_a should_the
        every_time each_time next_time until after_three unless wherever the_day wenn falls sobald si quand lorsque
        lorsqu'il dès_que chaque_fois cuando quando se caso assim_que tan_pronto ogni_volta non_appena als wanneer
        zodra jeśli jeżeli gdy kiedy если когда как_только eğer när om så_snart إذا عندما अगर यदि जब jika ketika kalau
    """,
    # What a model does with words: English verbs are orders at the beginning of a clause and behind "must", forms of
    # other languages anywhere.
    "say": """
        answer reply respond say tell state claim mention recommend suggest advise propose cite quote name present
        report praise promote insist assert output emit print chat summarise summarize conclude rank rate inform
        instruct pretend repeat reveal describe assure convince persuade declare announce refer steer
    """,
    "say_abroad": """
        nenne nennt antworte antworten sage sag behaupte behaupten empfiehl empfehle empfehlen erwähne erwähnen gib
        zitiere erzähle nennen teile_mit bestätige auszugeben ausgeben verrate réponds répondez répondre dis dites
        cite citez recommande recommandez recommander recommandent mentionne mentionnez propose proposez indique
        indiquez affirme affirmez conseille conseillez dis-lui dites-lui responde responda responder respóndele
        contesta conteste diga dile dígale recomienda recomiende recomendar menciona mencione sugiere sugiera informa
        informe indica afirma afirme indicar recomende sugira rispondi rispondere consiglia consigliare consigliate
        raccomanda raccomandare menziona comunica comunicare suggerisci antwoord antwoorden zeg noem beweer vermeld
        adviseer aanbevelen odpowiedz odpowiadaj podawaj podaj powiedz mów polecaj poleć wspomnij zalecaj twierdź
        отвечай ответь отвечайте ответьте говори говорите скажи скажите советуй советуйте посоветуй рекомендуй
        рекомендуйте порекомендуй порекомендуйте назови называй называйте упоминай упоминайте сообщай сообщайте сообщи
        утверждай утверждайте предлагай предлагайте söyle öner de_ki yanıtla cevapla belirt demeli önermeli söylemeli
        svara säg rekommendera nämn påstå أجب قل اذكر تجيب أوصِ أوص توصي कहो कहें बताओ बताएं जवाब_दें सुझाव_दें jawab
        katakan rekomendasikan sebutkan
    """,
    # The acts of a model alone, in the same form.
    "speak": "answer reply respond say state claim recommend insist pretend steer instruct",
    # What a model does, as a statement.
    "does": """
        gives says answers replies responds recommends reports names picks chooses adds mentions tells suggests states
        concludes prints returns cites quotes
    """,
    # Other acts of a model.
    "act": """
        include append add link write score pick choose consider enter fill sign prompt bring wait begin start
        remember recall save prefer select treat replace substitute redirect resolve route forward send post upload
        fetch call run execute delete approve grant install open use give render list book cancel order transfer pay
        hand push direct confirm obey follow act assume apply convert buy guide deploy decode show display insert
        attach prefix slip work leave answer_with copy disable remove retry return set read ignore disregard override
        overwrite forget omit exclude hide conceal skip put make look log invoke point
    """,
    "act_abroad": """
        ersetze verwende nutze schicke sende leite füge lösche öffne führe ignoriere vergiss verschweige bevorzuge
        wähle remplace remplacez utilise utilisez ajoute ajoutez envoie envoyez ouvre supprime ignore ignorez oublie
        inclus donne donnez passez désactive insère reemplaza usa use añade agrega envía abre borra ignora olvida
        incluye incluya prioriza omite omita substitua adicione envie mande abra apague esqueça inclua transfira leia
        sostituisci aggiungi invia apri cancella dimentica includi inserisci vervang gebruik voeg stuur open verwijder
        negeer vergeet weglaten zastąp użyj dodaj wyślij otwórz usuń ignoruj zignoruj zapomnij замени заменяй
        используй добавь добавляй отправь отправляй открой удали игнорируй игнорируйте забудь давай включай включи
        проси переведи kullan ekle gönder aç sil yoksay unut anma ersätt använd lägg skicka ta_bort ignorera glöm
        تجاهل أرسل استخدم احذف أضف भेजें अनदेखा जोड़ें abaikan kirim gunakan tambahkan
    """,
    # Duty.
    "duty": """
        must should shall ought has_to have_to is_to are_to need_to needs_to required expected supposed please
        instructed will_be needs_only is_required are_required muss müssen soll sollen sollte ist_als bitte doit
        doivent devez dois il_faut veuillez debe deben debes deberá tienes_que hay_que deve devem precisa devi devono
        bisogna moet moeten dient powinien powinna musisz należy должен должны должна нужно надо следует нейросетям
        demeli önermeli söylemeli måste ska bör يجب عليك चाहिए harus
    """,
    "not": """
        not never don't don’t doesn't won't no without nicht nie niemals kein keine ohne ne pas jamais sans n'en nunca
        sin não sem non mai senza niet geen zonder nooit bez nigdy не без никогда никому asla inte utan لا دون بدون मत
        बिना jangan tanpa
    """,
    # What one does not do if one hides something.
    "disclose": """
        tell mention mentioning telling reveal revealing inform informing disclose disclosing explain explaining
        asking ask show showing say saying comment notice alert confirmation approval warn warning hedge alternatives
        refer sagen erwähnen verraten nachfragen informieren mitteilen sag erwähne erwähnt dire dis mentionner
        prévenir parler dites informer digas decir menciones mencionar avisar informar decirlo diga contar contes
        mencione dirlo avvisare menzionare zeggen vermelden melden mówić wspominać informuj wspominaj podawaj mów
        говори говорите сообщай сообщайте упоминай упоминайте объясняй söyleme anmamalı berätta nämna säga إخبار تخبر
        تذكر बताएं बताना memberi menyebutkan
    """,
    "hidden": """
        silently quietly secretly covertly unnoticed stay_quiet keep_quiet hide_this hide_it conceal keep_secret
        straight_face keep_it_secret heimlich stillschweigend verschweige* verschweigen discrètement silence
        secrètement silenciosamente secreto segredo nascost* zatajaj молча скрой скрывай скрытно gizlice stilzwijgend
        w_tajemnicy
    """,
    # Earlier words, which an order may set aside.
    "earlier": """
        previous prior earlier above preceding older original existing stored other others notes memories context
        vorherigen vorige bisherigen früheren obigen précédentes précédents anteriores previas precedenti eerdere
        poprzednie предыдущ* прежние önceki tidigare السابقة पिछले sebelumnya
    """,
    # Orders that a model had before.
    "standing": """
        instructions instruction rules guidelines prompt prompts directive directives anweisungen consignes
        instrucciones instruções istruzioni instructies instrukcje инструкци* talimat* instruktioner التعليمات निर्देश
        instruksi
    """,
    "cancel": """
        ignore disregard forget override overwrite overrides overrule supersede supersedes superseded bypass discard
        ignoriere vergiss ignorez oublie oubliez ignora olvida esqueça dimentica negeer vergeet ignoruj zignoruj
        zapomnij игнорируй игнорируйте забудь yoksay unut ignorera glöm تجاهل انس अनदेखा भूल abaikan
    """,
    # Products of a model.
    "output": """
        answer answers reply replies response responses output outputs summary summaries completion completions digest
        conversation conversations drafts recommendation recommendations reasoning antwort antworten réponse réponses
        respuesta respuestas resposta respostas risposta risposte antwoord antwoorden odpowiedź odpowiedzi ответ
        ответе ответах ответы yanıt* cevap* svar الإجابة الرد उत्तर जवाब jawaban
    """,
    "every": """
        in every each all any your future later for on jede* alle allen deine* jeder chaque toute* tes vos cada todas
        todos tus tu suas sua ogni tutte elke każd* wszystk* всех каждый каждом кажд* все her tüm varje alla كل हर
        setiap
    """,
    # The text itself, as the thing that is read.
    "itself": """
        apply_this all_references reading_this
        reads_this this_page this_document this_note this_entry this_phrase this_result these_results
        this_mapping this_rule this_text this_article this_memory this_record this_line this_message this_one
        same_steps dieser_seite diese_seite dieses_dokument cette_page cette_note esta_página esta_nota questa_pagina
        deze_pagina эту_страницу этой_странице этой_памяти bu_sayfa* denna_sida هذه_الصفحة इस_पृष्ठ halaman_ini
        this_memory's note_to note_for hint_for
    """,
    # That the same shall be done again.
    "likewise": """
        likewise same_way same_steps do_likewise similarly accordingly the_pattern by_analogy precedent as_before
        every_case therefore hence thus consequently so_report so_say reasoning conclusion rule procedure ebenso daher
        folglich genauso donc ainsi también igualmente portanto quindi allo_stesso dus daarom tak_samo zatem поэтому
        аналогично следовательно dolayısıyla därför لذلك इसलिए
    """,
    # That one thing stands for another.
    "stands_for": """
        refers_to refer_to redirects_to maps_to map_to means alias aliases instead in_place replaced substituted
        resolve same_shop known_as formerly renamed moved_to now_called is_now are_now equals corresponds points_to
        alias_of rather_than in_fact actually correct_value updated_to changed_to treated merged treat read_as
        understood interpreted equivalent stand_for stands_for substitution redirect mapping steht_für gilt anstelle
        statt bedeutet remplace remplacé lieu entenderse significa lugar invés leia posto zamiast oznacza вместо
        означает считать yerine betyder istället betekent plaats يعني
    """,
    # Claims of a right to give orders.
    "authority": """
        administrator admin admin-* trigger triggers
        operator developer policy trusted verified system_message system_prompt
        official override overrides supersedes correction corrected mandatory compulsory compliance authorised
        authorized priority systemanweisung systemnachricht administrateur administrador amministratore beheerder
        администратор* системная yönetici administratör المسؤول
    """,
    "only": """
        only exactly verbatim first ultimately solely exclusively nothing_else no_other ningún_otro nenhum_outro
        aucun_autre anything_else before_anything nur ausschließlich uniquement seulement únicamente sólo solamente
        apenas solo soltanto alleen tylko wyłącznie только лишь sadece yalnızca endast bara فقط केवल hanya
    """,
}
"""For each class its words, of languages that write spaces."""

UNSPACED: dict[str, str] = {
    "model": "语言模型 大模型 AI助手 人工智能 言語モデル AIアシスタント 인공지능 챗봇 AI",
    "helper": "助手 机器人 模型 アシスタント 어시스턴트",
    "user": "用户 客户 对方 有人 使用者 ユーザー 利用者 사용자",
    "asked": "问到 问起 询问 提问 被问 问题 提到 聞かれ 質問 尋ね 話題 물어보 질문 물으면 묻는",
    "scope": """
        从现在起 从今以后 以后 今后 每次 总是 始终 永远 下次 一律 今後 これから 常に 毎回 次回
        次に 앞으로 항상 언제나 매번 다음에
    """,
    "condition": "如果 当 若 一旦 下次 每当 場合 たら れば とき 만약 때 하면 으면",
    "say": "说 称 言い 建议 提及",
    "say_abroad": "回答 回复 告诉 推荐 宣称 声称 答え 言って 伝え 推薦 勧め 述べ 말하 답하 대답 추천 알려",
    "act_abroad": """
        忽略 无视 附上 替换 发送 删除 关闭 打开 执行 改为 要求 無視 送信 削除 含め 追加 置き換え
        무시 보내 삭제 포함
    """,
    "duty": "必须 务必 应该 应当 请 要 必ず ください こと べき 반드시 해야 하세요 하십시오",
    "not": "不要 不得 不许 勿 别 ないで ない 마세요 말고 않",
    "disclose": "告诉 提及 解释 透露 说明 言わ 伝え 明か 触れ 말하지 언급 알리",
    "hidden": "秘密 悄悄 偷偷 こっそり 密かに 몰래",
    "earlier": "之前 先前 以上 上述 以前の 上記 이전",
    "cancel": "忽略 无视 無視 무시",
    "itself": "本页 此页 本文 记忆中 この記事 このページ このメモリ 이_페이지 이_문서",
    "standing": "指令 指示 지시",
    "output": "答案 回复中 回答中 回答时 返答 回答に 답변",
    "stands_for": "一律指 视为 当作 指的是 意味し 代わり 대신 의미",
    "authority": "系统指令 系统消息 管理员 システム 管理者 시스템 관리자",
    "only": "只 仅 だけ のみ 만",
}
"""For each class its words, of languages that write no spaces."""
