"""HTML artifacts in a frame: visible content is kept, and the browser makes no requests."""

from __future__ import annotations

import base64
import contextlib
import html
import re
import socket
import struct
import threading

import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st
from nbformat import v4

from qualia_lab.framing import framed_page, sanitized_page, sanitized_style
from qualia_lab.notebook.clean import clean_html
from qualia_lab.notebook.export import export_html

# Everything that makes a browser connect, at once or after a click; `@` is the listener.
CONNECTING = (
    '<iframe src="@/iframe"></iframe>', '<iframe srcdoc="<img src=@/inner><iframe src=@/inner></iframe>"></iframe>',
    '<frameset><frame src="@/frame"></frameset>', '<object data="@/object"></object>', '<embed src="@/embed">',
    '<applet code="@/applet"></applet>', '<portal src="@/portal"></portal>', '<fencedframe src="@/fenced"></fencedframe>',
    *(f'<link rel="{rel}" href="@/{rel}" as="{kind}">'
      for rel, kind in (("preconnect", ""), ("dns-prefetch", ""), ("prefetch", "document"), ("prerender", ""),
                        ("preload", "image"), ("preload", "font"), ("modulepreload", "script"), ("stylesheet", "style"),
                        ("icon", ""), ("manifest", ""), ("search", ""), ("next", ""), ("pingback", ""), ("import", ""))),
    '<link rel=preconnect href="@" crossorigin>', '<meta http-equiv="refresh" content="0;url=@/refresh">',
    '<meta http-equiv="Link" content="<@>; rel=preconnect">', '<base href="@/">', '<img src="relative.png"><base href="@/">',
    '<img src="@/img">', '<img srcset="@/set 1x, @/set2 2x">', '<picture><source srcset="@/picture"><img></picture>',
    '<img src="@/lazy" loading="lazy">', '<img lowsrc="@/low" dynsrc="@/dyn" longdesc="@/long" usemap="@/map">',
    '<video src="@/video" poster="@/poster" autoplay></video>', '<audio src="@/audio" autoplay></audio>',
    '<video><source src="@/source"><track src="@/track" default></video>', '<input type="image" src="@/input">',
    '<form action="@/form"><button autofocus>x</button></form>', '<button formaction="@/formaction">x</button>',
    '<body background="@/background">', '<table background="@/table"><td background="@/td">x</td></table>',
    '<a href="@/a" ping="@/ping" id="a">x</a>', '<a href="@/a" target="_top">x</a>', '<area href="@/area">',
    '<style>@import "@/import";</style>', "<style>@import url(@/importurl);</style>", "<style>@IMPORT\t'@/x';</style>",
    "<style>p{background:url(@/url)}</style><p>x</p>", '<p style="background:url(@/style)">x</p>',
    "<style>p{background:u\\72l(@/escape)}</style><p>x</p>", "<style>p{background:image-set('@/set' 1x)}</style><p>x</p>",
    "<style>@font-face{font-family:f;src:url(@/font)}p{font-family:f}</style><p>x</p>",
    "<style>p{cursor:url(@/cursor),auto;list-style:url(@/list);content:url(@/content)}</style><p>x</p>",
    "<style>p{mask:url(@/mask);filter:url(@/filter#a);clip-path:url(@/clip#a)}</style><p>x</p>",
    "<style>@namespace url(@/ns);@document url(@/doc){}</style>", "<style>a{}/*</style><img src=@/comment>*/",
    '<svg><image href="@/image" xlink:href="@/xlink"/></svg>', '<svg><use href="@/use#a"/></svg>',
    '<svg><feImage href="@/feimage"/></svg>', '<svg><rect fill="url(@/fill#a)" width="9" height="9"/></svg>',
    '<svg><style>@import "@/svgstyle";</style></svg>', '<svg><a xlink:href="@/svga"><text>x</text></a></svg>',
    '<svg><set attributeName="href" to="@/set"/><animate attributeName="href" values="@/animate"/></svg>',
    '<svg><foreignObject><iframe src="@/foreign"></iframe></foreignObject></svg>', '<svg><script href="@/script"/></svg>',
    '<math href="@/math"><mi xlink:href="@/mi">x</mi></math>', '<script src="@/script"></script>',
    '<script>fetch("@/fetch");new WebSocket("@/ws".replace("http","ws"))</script>', '<p onclick="fetch(\'@/on\')">x</p>',
    '<script type="speculationrules">{"prefetch":[{"source":"list","urls":["@/speculation"]}]}</script>',
    '<noscript><img src="@/noscript"></noscript>', '<template shadowrootmode="open"><img src="@/shadow"></template>',
    '<xmp></xmp><iframe src="@/xmp"></iframe>', "<textarea></textarea><iframe src='@/textarea'></iframe>",
    '<!--><iframe src="@/comment"></iframe>-->', '<![CDATA[<iframe src="@/cdata"></iframe>]]>',
    '<iframe/src="@/slash">', '<iframe\nsrc="@/newline">', '<IFRAME SRC="@/CAPITAL">', '<p title="</p><iframe src=@/title>">x',
    "<svg><style><img title='</style><iframe src=@/mutation>'></style></svg>", "<plaintext><iframe src='@/plain'></iframe>",
)  # fmt: skip


class Listener:
    """Counts connections to a local port, without answering."""

    def __init__(self):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.asked: list[bytes] = []
        self.came = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                connection.settimeout(2)
                with connection, contextlib.suppress(OSError):
                    self.asked.append(b"(connected)")
                    self.came.set()
                    self.asked[-1] = connection.recv(200) or self.asked[-1]

    def close(self):
        self._socket.close()


@pytest.fixture
def listener():
    found = Listener()
    yield found
    found.close()


def export(node_html: str, path):
    output = v4.new_output("display_data", data={"text/html": node_html})
    node = v4.new_notebook(cells=[v4.new_code_cell("x", outputs=[output]), v4.new_markdown_cell("the end")])
    return export_html(node, path, title="x")


@pytest.mark.browser
def test_opening_a_page_of_hostile_artifacts_makes_no_connections(chromium, listener, tmp_path):
    frames = "".join(
        framed_page(one.replace("@/", listener.address + "/").replace('"@"', f'"{listener.address}"'), 100)
        for one in CONNECTING
    )
    # Also a frame in a notebook that imitates ours, with another page in it.
    frames += "".join(
        f'<iframe sandbox="" srcdoc="{html.escape(one.replace("@/", listener.address + "/"))}" width="100%" height="100"></iframe>'
        for one in CONNECTING
    )
    path = export(frames, tmp_path / "page.html")
    context = chromium.new_context()
    try:
        page = context.new_page()
        page.goto(path.as_uri())
        assert page.locator("iframe").count() == 2 * len(CONNECTING)
        page.mouse.wheel(0, 100_000)
        for frame in page.frames[1:]:  # links lead nowhere
            for link in frame.locator("a, button").all():
                link.dispatch_event("click")
        page.wait_for_timeout(1500)
        assert listener.asked == []
        assert page.url == path.as_uri()
        # Control: the same browser connects if the page may, and the listener notices.
        (tmp_path / "control.html").write_text(
            f'<link rel=preconnect href="{listener.address}"><img src="{listener.address}/x">'
        )
        page.goto((tmp_path / "control.html").as_uri(), wait_until="commit")
        assert listener.came.wait(10)
    finally:
        context.close()


def test_visible_content_of_a_page_is_kept():
    page = (
        "<!doctype html><html><head><title>t</title><style>td { color: red }</style></head><body>"
        '<h1 class="a" style="color: blue">A &amp; B</h1><table border="1"><tr><td colspan="2">1</td></tr></table>'
        '<svg viewbox="0 0 9 9"><defs><lineargradient id="g"></lineargradient></defs>'
        '<path d="M0 0L9 9" stroke="#000" fill="url(#g)" stroke-width="2"></path><use href="#g"></use></svg></body></html>'
    )
    still = BeautifulSoup(sanitized_page(page), "html.parser")
    whole = BeautifulSoup(page.replace("<title>t</title>", "").replace("<!doctype html>", ""), "html.parser")
    assert still == whole


def test_embedded_images_are_kept_unless_too_large():
    small = base64.b64encode(b"GIF89a" + struct.pack("<HHBBB", 9, 9, 0, 0, 0) + b";").decode()
    large = base64.b64encode(b"GIF89a" + struct.pack("<HHBBB", 22_000, 22_000, 0, 0, 0) + b";").decode()
    assert f'src="data:image/gif;base64,{small}"' in sanitized_page(f'<img src="data:image/gif;base64,{small}">')
    assert sanitized_page(f'<img src="data:image/gif;base64,{large}">') == "<img>"
    assert sanitized_page('<img src="data:text/html,x">') == "<img>"


PIECES = st.sampled_from(
    [
        "url(",
        "u",
        "rl(",
        "\\75",
        "/*",
        "*/",
        "@import",
        "@",
        "import ",
        "'http://x'",
        "http://x",
        ")",
        "(",
        ";",
        "image-set(",
        "src(",
        " ",
        "{",
        "}",
        "#a",
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join))
def test_no_style_loads_resources(css):
    plain = sanitized_style(css).lower()
    assert re.search(r"@import\b", plain) is None
    assert "\\" not in plain
    assert "url(" not in plain.replace("url(#", "")
    assert "image-set(" not in plain
    assert "src(" not in plain


HOSTILE = st.lists(
    st.sampled_from([
        "<svg>", "</svg>", "<style>", "</style>", "<math>", "<iframe src=http://x>", "<!--", "-->", "<title>", "</title>", "<p title='",
        "'>", '">', "<img src=http://x>", "<textarea>", "</textarea>", "<script>", "</script>", "<![CDATA[", "]]>", "text", "<table>",
        "<a href=http://x ping=http://x>", "<p style='background:url(http://x)'>", "&lt;iframe src=http://x&gt;", "<noscript>",
        "<template>", "<select>", "<desc>", "<foreignObject>", "</p>", "\0", "<link rel=preconnect href=http://x>",
    ]), max_size=10,
).map("".join)  # fmt: skip


@given(HOSTILE)
def test_a_framed_page_never_makes_requests(text):
    frame = framed_page(text, 100)
    assert clean_html(frame) == frame  # cleaning is idempotent
    inside = BeautifulSoup(BeautifulSoup(frame, "html.parser").iframe["srcdoc"], "html.parser")
    for one in inside.find_all(True)[2:]:
        assert one.name not in (
            "iframe",
            "script",
            "link",
            "meta",
            "base",
            "object",
            "embed",
            "form",
            "input",
            "template",
        )
        assert not one.attrs.keys() & {"href", "src", "srcset", "action", "ping", "background", "poster", "data"}
        assert "http" not in one.get("style", "")
