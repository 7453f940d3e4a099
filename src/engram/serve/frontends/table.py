"""The known agents and front ends: one row for each, as data.

Owns the marks. A row names only what a front end writes in exactly this form. A person may type the opening of a text
and go on with other words, so each row has a second mark; a text without one is in no row. `reading` says at which
places a mark counts, `tasks` when a request is a task. Each row needs an example in
`tests/serve/frontends/examples.py`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Block:
    """An element, from its opening to its closing tag, that a front end writes to the model."""

    tag: str
    holds: str = ""
    """What its content begins with, where the tag alone proves nothing."""
    beside: str = ""
    """A tag that the message must also hold, where the tag alone proves nothing."""
    own_line: bool = False
    """Whether the front end breaks the line behind the opening tag: an element inside a sentence is a person's."""


@dataclass(frozen=True, slots=True)
class Record:
    """A text at the beginning of a part that a front end writes."""

    opening: str
    holds: tuple[str, ...] = ()
    """What the text also holds, behind its opening."""
    beside: tuple[str, ...] = ()
    """Texts of which the message must also hold one."""
    is_whole: bool = False
    """Whether the opening is the whole part."""
    until: tuple[str, ...] = ()
    """Marks of which one must end the text, whichever comes first: a line break, or the end of the part, for "\\n"."""
    inclusive: bool = True
    """Whether the mark belongs to the text."""
    before: str = ""
    """What follows the opening, after white space: the text is the opening only."""


@dataclass(frozen=True, slots=True)
class Tail:
    """A text that a front end adds to the end of a part."""

    opening: str
    """What a line begins with."""
    holds: str
    """What the text also holds, behind its opening."""


@dataclass(frozen=True, slots=True)
class Template:
    """A text around the words of a user: instructions, documents, and a label with the words behind it."""

    opening: str
    label: tuple[str, ...]
    """The words stand behind the last of these in the text, whichever it is."""
    holds: str = ""
    """What the text also holds."""
    closing: tuple[str, ...] = ()
    """Marks of which one must end the text; what stands behind the words is made of these."""
    documents: str = ""
    """The label of the documents where these follow the words. The words then stand behind the first `label`."""


@dataclass(frozen=True, slots=True)
class Task:
    """A request that a front end sends for itself. Marks are compared with white space collapsed."""

    opening: str
    """What the last message begins with."""
    holds: tuple[str, ...] = ()
    """What it holds, too, behind its opening."""
    is_whole: bool = False
    """Whether `opening` is the whole message. Without `system` and `one_token`, the request has other messages, too."""
    system: str = ""
    """What the system prompt holds. The message then is the only turn."""
    one_token: bool = False
    """Whether the request asks for a reply of one token. The message then is the only turn."""
    in_system: bool = False
    """Whether the marks are those of a system prompt, which `opening` begins, before one turn: a user message."""


@dataclass(frozen=True, slots=True)
class Frontend:
    """What one front end writes. Each field but the name may be empty."""

    name: str
    blocks: tuple[Block, ...] = ()
    wrappers: tuple[str, ...] = ()
    """Tags of elements whose content is what the user typed. Only the front end's own text may stand around one."""
    wrapped_beside: tuple[str, ...] = ()
    """Texts of which a message with such an element must also hold one, where the tags alone prove nothing."""
    last_wrapper: bool = False
    """Whether documents stand before such an element: only the last one then counts, and nothing around it."""
    asking_tools: tuple[str, ...] = ()
    """Tools whose results, in a user's message, hold words of the user in such elements."""
    writing_tools: tuple[str, ...] = ()
    """Tools whose results hold words of the user where the user denied the operation, and no document then."""
    command_arguments: str = ""
    """The tag of the arguments of a command. Arguments of several words are the user's."""
    enclosed: tuple[tuple[str, str], ...] = ()
    """Pairs of marks on lines of their own; the text between them is the front end's, with the marks."""
    records: tuple[Record, ...] = ()
    lines: tuple[str, ...] = ()
    """Whole lines."""
    tails: tuple[Tail, ...] = ()
    templates: tuple[Template, ...] = ()
    answers: tuple[str, ...] = ()
    """Replies that the front end writes in the name of the model, after a message of its own."""
    broken_off: tuple[str, ...] = ()
    """What the front end adds to the end of a reply that was broken off."""
    after_results: tuple[str, ...] = ()
    """Tags of elements that the front end adds to the end of a tool's result."""
    tasks: tuple[Task, ...] = ()


def _blocks(names: str, beside: str = "") -> tuple[Block, ...]:
    return tuple(Block(name, beside=beside) for name in names.split())


CLAUDE_CODE = Frontend(
    "Claude Code",
    blocks=(
        Block("system-reminder", own_line=True),
        *_blocks(
            "command-name command-message command-contents local-command-stdout local-command-stderr"
            " local-command-caveat bash-input bash-stdout bash-stderr ide_opened_file ide_selection ide_diagnostics"
            " new-diagnostics task-notification teammate-message user-memory-input user-prompt-submit-hook"
            " session-start-hook post-tool-use-hook available-deferred-tools"
        ),
    ),
    command_arguments="command-args",
    records=(
        *(
            Record(f"This session is being continued from a previous conversation{reason}", (summary,))
            for reason in (" that ran out of context.", ".")
            for summary in (
                "The conversation is summarized below:",
                "The summary below covers the earlier portion of the conversation",
            )
        ),
        Record(
            "Caveat: The messages below were generated by the user while running local commands.",
            ("DO NOT respond",),
            until=("\n",),
        ),
        Record("Your task is to create a detailed summary of the conversation so far", (", paying close attention",)),
        Record("[SUGGESTION MODE:", (" Suggest what",)),
        Record("Result of calling the ", (" tool:",), beside=(" tool with the following input: {",)),
        Record("Base directory for this skill: ", beside=("<command-name>", "Launching skill: ")),
        Record("Stop hook feedback:\n[", ("]: ",)),
        Record("Stop hook feedback:\n- [", ("]: ",)),
        Record("Stop hook feedback: [", ("]: ",)),
    ),
    after_results=("system-reminder",),
    lines=("[Request interrupted by user]", "[Request interrupted by user for tool use]"),
    tasks=(
        Task("[SUGGESTION MODE:", (" Suggest what",)),
        Task("Your task is to create a detailed summary of the conversation so far", (", paying close attention",)),
        Task(
            "Your task is to create a detailed summary of the RECENT portion of the conversation",
            ("the messages that",),
        ),
        Task(
            "CRITICAL: Respond with TEXT ONLY.",
            ("Do NOT call any tools", "Your task is to create a detailed summary of"),
        ),
        Task("Please write a 5-10 word title for the following conversation:", ("Respond with the title",)),
        Task("Warmup", is_whole=True, system="You are Claude Code"),
        Task("quota", is_whole=True, one_token=True),
        Task("Analyze if this message indicates a new conversation topic", in_system=True),
        Task("Summarize this coding conversation in under 50 characters", in_system=True),
        Task("Generate a concise, sentence-case title", in_system=True),
        Task("Your task is to process Bash commands", in_system=True),
        Task("Extract any file paths that this command reads or modifies", in_system=True),
    ),
)
CLINE = Frontend(
    "Cline, Roo Code and Kilo Code",
    blocks=(
        Block("environment_details", own_line=True),
        *_blocks("explicit_instructions workspace_diagnostics git_working_state final_file_content"),
        *_blocks("file_content folder_content url_content git_commit terminal_output", beside="environment_details"),
    ),
    wrappers=("task", "feedback", "user_message", "answer"),
    wrapped_beside=("<environment_details>",),
    asking_tools=("ask_followup_question", "attempt_completion", "plan_mode_respond"),
    writing_tools=("write_to_file", "replace_in_file", "apply_diff", "insert_content", "search_and_replace"),
    records=(
        Record(
            "[TASK RESUMPTION] This task was interrupted",
            until=("<user_message>", "<environment_details>"),
            inclusive=False,
        ),
        Record("[ERROR] You did not use a tool in your previous response!", until=("it conversationally.)",)),
        Record(
            "[NOTE] Some previous conversation history with the user has been removed",
            ("to maintain optimal context window length",),
        ),
        Record("The user denied this operation and provided the following feedback:", before="<feedback>"),
        Record("The user provided the following feedback:", before="<feedback>"),
        Record(
            "The user has provided feedback on the results.",
            ("Consider their input to continue",),
            until=("<feedback>",),
            inclusive=False,
        ),
        Record(
            "You seem to be having trouble proceeding. The user has provided the following feedback to help guide you:",
            before="<feedback>",
        ),
        Record("New instructions for task continuation:", before="<user_message>"),
        Record(
            "New message to respond to with plan_mode_respond tool"
            " (be sure to provide your response in the <response> parameter):",
            before="<user_message>",
        ),
        Record(
            "The current conversation is rapidly running out of context.", ("reate a comprehensive detailed summary",)
        ),
        *(
            Record(opening, beside=("<environment_details>",))
            for opening in (
                "# task_progress RECOMMENDED",
                "# task_progress List (Optional - Plan Mode)",
                "# TODO LIST CREATION REQUIRED",
                "# TODO LIST UPDATE REQUIRED",
            )
        ),
    ),
    broken_off=(
        "[Response interrupted by user feedback]",
        "[Response interrupted by user]",
        "[Response interrupted by API Error]",
        "[Response interrupted by a tool use result. Only one tool may be used at a time and should be placed at the"
        " end of the message.]",
    ),
    tasks=(
        Task(
            "The current conversation is rapidly running out of context.", ("reate a comprehensive detailed summary",)
        ),
    ),
)
"""A tool's result (`[read_file for 'a.py'] Result:`) has a form of its own: see `reading`."""
CODEX = Frontend(
    "Codex",
    blocks=(
        *_blocks(
            "environment_context user_instructions turn_aborted user_shell_command subagent_notification"
            " recommended_plugins skills_instructions collaboration_mode apps_instructions plugins_instructions"
        ),
        Block("permissions instructions"),
        Block("user_action", holds="<context>User "),
        Block("skill", holds="<name>"),
        Block("INSTRUCTIONS", beside="environment_context"),
    ),
    records=(
        Record("# AGENTS.md instructions for ", ("<INSTRUCTIONS>",), until=("</INSTRUCTIONS>",)),
        Record(
            "Another language model started to solve this problem and produced a summary",
            (" of its thinking process",),
        ),
        Record("You are performing a CONTEXT CHECKPOINT COMPACTION.", (" Create a handoff",)),
    ),
    templates=(
        Template("# Context from my IDE setup:", label=("## My request for Codex:",)),
        Template("# Files mentioned by the user:", label=("## My request for Codex:",)),
    ),
    tasks=(Task("You are performing a CONTEXT CHECKPOINT COMPACTION.", (" Create a handoff",)),),
)
COPILOT = Frontend(
    "GitHub Copilot Chat",
    blocks=(
        *_blocks(
            "environment_info workspace_info reminderInstructions editorContext userMemory sessionMemory repoMemory"
            " conversation-summary"
        ),
        *_blocks(
            "attachments attachment context repoContext toolReferences userPreferences instructions",
            beside="userRequest",
        ),
        *_blocks("attachments repoContext toolReferences", beside="reminderInstructions"),
        Block("context", holds="The current date is "),
    ),
    wrappers=("userRequest", "prompt"),
    wrapped_beside=("<userRequest>", "<reminderInstructions>", "<environment_info>"),
    last_wrapper=True,
    tasks=(
        Task("You are an expert in crafting", ("titles for chatbot conversations",), in_system=True),
        Task(
            "Summarize the conversation history so far, paying special attention to the most recent agent commands",
            (" and tool results that triggered this",),
        ),
    ),
)
CURSOR = Frontend(
    "Cursor and its kin",
    blocks=(
        *_blocks("system_reminder open_and_recently_viewed_files agent_transcripts agent_skills"),
        *_blocks("ADDITIONAL_METADATA EPHEMERAL_MESSAGE", beside="USER_REQUEST"),
        *_blocks(
            "additional_data user_info project_layout git_status rules attached_files cursor_rules_context current_file"
            " manually_attached_skills timestamp memories image_files linter_errors edit_history",
            beside="user_query",
        ),
        Block("user_info", holds="OS Version:"),
        Block("project_layout", holds="Below is a snapshot of the current workspace"),
    ),
    wrappers=("user_query", "USER_REQUEST"),
    last_wrapper=True,
)
ZED = Frontend(
    "Zed",
    blocks=(Block("context", holds="The following items were attached by the user."),),
    tasks=(
        Task(
            "Generate a concise 3-7 word title for this conversation, omitting punctuation.",
            ("Go straight to the title",),
        ),
        Task("Generate a detailed summary of this conversation. Include:", ("- Key facts or information discovered",)),
    ),
)
GOOSE = Frontend(
    "Goose",
    blocks=_blocks("info-msg"),
    tasks=(
        Task(
            "Based on the conversation so far, provide a concise description of this session in",
            ("reply *ONLY* with the description",),
        ),
        Task("Here are the first few user messages:", holds=("provide a concise description of this session",)),
        Task("Reply with only a description in four words or less", in_system=True),
    ),
)
OPENCODE = Frontend(
    "opencode",
    blocks=(Block("file", holds="00001| "),),
    records=(
        Record("Called the Read tool with the following input:", ('{"', "}"), until=("\n",)),
        Record("<path>", ("</path>\n<type>file</type>\n<content>",), until=("</content>",)),
        Record("<path>", ("</path>\n<type>directory</type>\n<entries>",), until=("</entries>",)),
    ),
    tasks=(
        Task("Generate a title for this conversation:", is_whole=True),
        Task("You are a title generator.", in_system=True),
        *(
            Task(opening, ("Focus on information that would be helpful for continuing the conversation",))
            for opening in (
                "Provide a detailed prompt for continuing our conversation above.",
                "Provide a detailed but concise summary of our conversation above.",
            )
        ),
    ),
)
GEMINI_CLI = Frontend(
    "Gemini CLI and Qwen Code",
    blocks=_blocks("session_context hook_context state_snapshot"),
    enclosed=(("--- Content from referenced files ---", "--- End of content ---"),),
    records=(
        *(
            Record(f"This is the {name}. We are setting up the context for our chat.", ("Today's date is",))
            for name in ("Gemini CLI", "Qwen Code")
        ),
        Record("Here is the user's editor context", ("This is for your information only.",)),
        Record("Here is a summary of changes in the user's editor context", ("This is for your information only.",)),
    ),
    answers=("Got it. Thanks for the context!", "Got it. Thanks for the additional context!"),
    tasks=(
        Task("First, reason in your scratchpad. Then, generate the <state_snapshot>.", is_whole=True),
        Task(
            "Analyze *only* the content and structure of your immediately preceding response",
            ("Based *strictly* on that response",),
        ),
    ),
)
AIDER = Frontend(
    "aider",
    records=(
        Record("I have *added these files to the chat*", (" so you can go ahead and edit them.",)),
        Record("Here are summaries of some files present in my git repository.", ("treat them as *read-only*",)),
        Record("Here are some READ ONLY files, provided for your reference.", ("Do not edit these files!",)),
        Record("I am not sharing any files that you can edit yet.", is_whole=True),
    ),
    tails=(
        Tail("# *SEARCH/REPLACE block* Rules:", "must use this format:"),
        Tail("# File editing rules:\n\nReturn edits similar to unified diffs", "that `diff -U0` would produce"),
        Tail(
            "To suggest changes to a file you MUST return the entire content of the updated file.",
            "You MUST use this *file listing* format:",
        ),
    ),
    answers=(
        "Ok, any changes I propose will be to those files.",
        "Ok, I won't try and edit those files without asking first.",
        "Ok, I will use these files as references.",
        "Ok.",
    ),
    tasks=(
        Task("You are an expert software engineer that generates concise, one-line Git commit", in_system=True),
        Task("*Briefly* summarize this partial conversation about programming.", in_system=True),
    ),
)
CONTINUE = Frontend(
    "Continue",
    tasks=(
        *(
            Task(
                f"Given the following{what} please reply with a title for the chat that is 3-4 words in length",
                (", all words used should be directly related",),
            )
            for what in ("...", " chat history,")
        ),
    ),
)
OPENHANDS = Frontend(
    "OpenHands",
    blocks=(
        *_blocks("RUNTIME_INFORMATION REPOSITORY_INFO REPOSITORY_INSTRUCTIONS RUNTIME_INFO"),
        Block("EXTRA_INFO", holds="The following information has been included based on a keyword match"),
    ),
)
OPEN_WEBUI = Frontend(
    "Open WebUI",
    blocks=(Block("attached_files", holds="<file type="),),
    tails=(
        Tail("#### Code Interpreter\n\nYou have access to a Python code interpreter via:", "<code_interpreter type="),
    ),
    templates=(
        Template(
            "### Task:\nRespond to the user query using the provided context",
            label=("<user_query>",),
            closing=("</user_query>",),
        ),
        Template(
            "### Task:\nRespond to the user query using the provided context",
            label=("</source>\n</context>\n", "\n</context>\n"),
        ),
        Template(
            "Use the following context as your learned knowledge, inside <context></context>",
            label=("\nQuery: ",),
            holds="\n</context>",
        ),
    ),
    tasks=(
        Task("### Task:", ("<chat_history>", "</chat_history>")),
        Task("### Task: You are an autocompletion system.", ("Continue the text in `<text>`",)),
        Task(
            "### Task: Summarize the conversation",
            ("that will be compacted out of the active chat context.", "### Instructions:"),
        ),
        Task(
            "Your task is to reflect the speaker's likely facial expression through a fitting emoji.", ("Message: ```",)
        ),
        Task(
            "Create a concise, 3-5 word title with an emoji as a title for the chat history",
            ("Suitable Emojis for the summary",),
        ),
        Task("Available Tools:", holds=("Your task is to choose and return the correct tool(s)",), in_system=True),
        Task(
            "You have been provided with a set of responses from various models to the latest user query:",
            ("Your task is to synthesize these responses",),
        ),
    ),
)
LIBRECHAT = Frontend(
    "LibreChat",
    tasks=(
        Task(
            "Provide a concise, 5-word-or-less title for the conversation", ("using its same language", "Conversation:")
        ),
        Task("Please generate a concise, 40-character title using title-case conventions", ("User:",)),
        Task(
            "Analyze this conversation and provide: 1. The detected language of the conversation 2. A concise title",
            ("in the detected language (",),
        ),
        Task(
            "Write a concise title for this conversation in the detected language.",
            ("Title in 5 Words or Less. No Punctuation or Quotation.",),
        ),
    ),
)
LOBECHAT = Frontend(
    "LobeChat and Cherry Studio",
    enclosed=(("<!-- SYSTEM CONTEXT (NOT PART OF USER QUERY) -->", "<!-- END SYSTEM CONTEXT -->"),),
    templates=(
        Template(
            "Please answer the question based on the reference materials",
            label=("## My question is:",),
            documents="## Reference Materials:",
        ),
    ),
    tasks=(
        Task("You are a professional conversation summarizer. Generate a concise title", in_system=True),
        Task("You are an assistant", holds=("summarize the user's conversation into a title",), in_system=True),
        Task(
            "You need to summarize the user's conversation into a title",
            ("The language of the title should be consistent",),
        ),
        Task("你是一名擅长会话的助理", holds=("标题",), in_system=True),
    ),
)
CHATBOX = Frontend(
    "Chatbox",
    blocks=(Block("ATTACHMENT_FILE", holds="<FILE_INDEX>"),),
    tasks=(Task("Based on the chat history, give this conversation a name.", ("Keep it short",)),),
)
NEXTCHAT = Frontend(
    "NextChat",
    tasks=(
        Task(
            "Please generate a four to five word title summarizing our conversation without any lead-in",
            (", punctuation",),
        ),
        Task(
            "Summarize the discussion briefly in 200 words or less to use as a prompt for future context.",
            is_whole=True,
        ),
    ),
)
JAN = Frontend(
    "Jan",
    templates=(
        Template(
            "Use the following pieces of context to answer the question at the end.\n----------------\nCONTEXT:",
            label=("\n----------------\nQUESTION:",),
            closing=("Helpful Answer:", "----------------"),
        ),
    ),
    tasks=(Task("Summarize in a", holds=("-word Title. Give the title only.",)),),
)
LM_STUDIO = Frontend(
    "LM Studio",
    templates=(
        Template("This is a Enriched Context Generation scenario.", label=("\nUser Query:",)),
        Template("Use the following citations to answer the user query", label=("\nUser Query:",)),
    ),
)
HUGGING_CHAT = Frontend(
    "HuggingChat",
    templates=(Template("I searched the web using the query: ", label=("\nAnswer the question: ",), holds="\n====="),),
    tasks=(Task("You are a summarization AI. You'll never answer a user's question directly", in_system=True),),
)
SILLY_TAVERN = Frontend(
    "SillyTavern",
    lines=(
        "[Start a new Chat]",
        "[Continue your last message without repeating its original content.]",
    ),
    tasks=(
        Task(
            "Ignore previous instructions. Summarize the most important facts and events in the story so far.",
            ("Your response should include nothing but the summary.",),
        ),
        Task("[Write your next reply from the point of view of", (", using the chat history so far as a guideline",)),
        Task("[Pause your roleplay. Summarize", ("Your response should include nothing but the summary.",)),
        Task("[Pause your roleplay. Your next response must be formatted as", ("comma-delimited list",)),
        Task("[Pause your roleplay and provide", ("Do not roleplay while writing this description.",)),
    ),
)
LANGCHAIN = Frontend(
    "LangChain",
    templates=(
        Template(
            "Use the following pieces of context to answer the question at the end.",
            label=("\nQuestion:", "\nQUESTION:"),
            closing=("Helpful Answer:", "Answer:"),
        ),
        Template(
            "You are an assistant for question-answering tasks. Use the following pieces of retrieved context",
            label=("\nQuestion:",),
            closing=("Answer:",),
            documents="\nContext:",
        ),
        Template(
            "The following is a friendly conversation between a human and an AI.", label=("\nHuman:",), closing=("AI:",)
        ),
        Template(
            "Answer the following questions as best you can. You have access to the following tools:",
            label=("Begin!\n\nQuestion:",),
            documents="\nThought:",
        ),
    ),
    tasks=(
        Task(
            "Given the following conversation and a follow up question, rephrase the follow up question",
            ("Follow Up Input:", "Standalone question:"),
        ),
        Task("Distill the above chat messages into a single summary message.", ("Include as many",)),
        Task(
            "Progressively summarize the lines of conversation provided, adding onto the previous summary",
            ("New lines of conversation:",),
        ),
        Task("You are an AI language model assistant. Your task is to generate", holds=("of the given user question",)),
        Task("Given a chat history and the latest user question which might reference context", in_system=True),
    ),
)
LLAMA_INDEX = Frontend(
    "LlamaIndex",
    templates=(
        Template("Context information is below.\n---------------------", label=("\nQuery:",), closing=("Answer:",)),
        Template(
            "The original query is as follows:",
            label=("The original query is as follows:",),
            documents="\nWe have provided an existing answer:",
        ),
    ),
    tasks=(
        Task(
            "Given a conversation (between Human and Assistant) and a follow up message from Human,",
            ("rewrite the message",),
        ),
        Task(
            "Given the following conversation between a user and an AI assistant and a follow up question",
            ("rephrase the follow up question to be a standalone question",),
        ),
    ),
)
HAYSTACK = Frontend(
    "Haystack",
    templates=(
        Template("Given these documents, answer the question.", label=("Question:",), closing=("Answer:",)),
        Template("Given the following information, answer the question.", label=("Question:",), closing=("Answer:",)),
    ),
)

FRONTENDS = (
    CLAUDE_CODE,
    CLINE,
    CODEX,
    COPILOT,
    CURSOR,
    ZED,
    GOOSE,
    OPENCODE,
    GEMINI_CLI,
    AIDER,
    CONTINUE,
    OPENHANDS,
    OPEN_WEBUI,
    LIBRECHAT,
    LOBECHAT,
    CHATBOX,
    NEXTCHAT,
    JAN,
    LM_STUDIO,
    HUGGING_CHAT,
    SILLY_TAVERN,
    LANGCHAIN,
    LLAMA_INDEX,
    HAYSTACK,
)
