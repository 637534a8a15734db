"""Nothing that a prompt, a file name, a caption, a PNG's text or the server says is ever run: 40 payloads in 5 places,
with the Content-Security-Policy taken away, so that the page stands by itself. And: nothing is asked of another host."""
import json
import unittest

import browser
import mock
import pictures

RUN = 'window.ran=1'
PAYLOADS = [p.replace('RUN', RUN) for p in (
    '<script>RUN</script>', '<img src=x onerror=RUN>', '<svg onload=RUN>', '<svg><script>RUN</script></svg>', '"><script>RUN</script>',
    "'><img src=x onerror=RUN>", '" onmouseover="RUN" x="', "' onfocus='RUN' autofocus='", '<iframe srcdoc="<script>parent.ran=1</script>">',
    '<iframe src="javascript:parent.ran=1">', '<a href="javascript:RUN">x</a>', '<body onload=RUN>', '<details open ontoggle=RUN>',
    '<input autofocus onfocus=RUN>', '<video><source onerror=RUN></video>', '<audio src=x onerror=RUN>', '<marquee onstart=RUN>',
    '<object data="javascript:RUN">', '<embed src="javascript:RUN">', '<math><mtext><img src=x onerror=RUN></mtext></math>',
    '</textarea><script>RUN</script>', '</title><script>RUN</script>', '</style><script>RUN</script>', '-->\x3cscript>RUN</script>',
    ']]><script>RUN</script>', '<style>@import "javascript:RUN"</style>', '<link rel=stylesheet href="javascript:RUN">',
    '<meta http-equiv=refresh content="0;url=javascript:RUN">', '<base href="//evil.invalid/">', '<form action="javascript:RUN"><button>',
    '{{constructor.constructor("RUN")()}}', '${RUN}', '`-RUN-`', "';RUN;//", '\\u003cscript\\u003eRUN\\u003c/script\\u003e',
    '&lt;script&gt;RUN&lt;/script&gt;', '%3Cscript%3ERUN%3C/script%3E', '<ScRiPt>RUN</sCrIpT>', '<img/src=x/onerror=RUN>',
    '<template><script>RUN</script></template>')]
CLEAN = """return window.ran === undefined && !document.querySelector(
  'main iframe, main script, main object, main embed, main base, main meta, main link, main a, main style, main [onerror], main [onload], dialog a')"""


class Safety(browser.PageTest):
    def setUp(self):
        super().setUp()
        self.state.csp = None
        self.state.delay = 0
        self.open()
        self.assertEqual(len(set(PAYLOADS)), 40)

    def clean(self, payload):
        self.assertTrue(self.js(CLEAN), payload)

    def test_the_net_catches(self):
        """The check itself fails on a page that does run one."""
        self.expected = ['']
        self.js("document.querySelector('main').insertAdjacentHTML('beforeend', arguments[0])", PAYLOADS[1])
        self.until("return window.ran === 1")
        self.assertFalse(self.js(CLEAN))

    def test_prompts(self):
        for payload in PAYLOADS:
            self.js("document.getElementById('prompt').value = arguments[0]; document.querySelector('[name=count][value=\"1\"]').checked = true;"
                    "document.getElementById('draw').click()", payload)
            self.until("return document.querySelector('#grid button.look') && !document.querySelector('.running')"
                       " && document.getElementById('drawn-title').textContent === arguments[0]", payload.strip())
            self.clean(payload)
        self.js("document.querySelector('#grid button.look').click(); document.getElementById('viewer').close();"
                "document.getElementById('tab-history').click()")
        self.until("return document.querySelectorAll('#past .tile').length === 40")
        self.clean('history')
        self.open('#/history')
        self.until("return document.querySelectorAll('#past .tile').length === 40")
        self.clean('history after a reload')

    def test_file_names_and_captions(self):
        self.state.captions = list(PAYLOADS)
        self.click('#tab-describe')
        self.js("document.querySelector('[name=captions][value=en]').click()")
        self.drop([(p.replace('/', '\u2215') + '.png', browser.sample('dog.png')) for p in PAYLOADS])
        self.until("return document.querySelectorAll('.caption').length === 40 && document.getElementById('describe-stop').hidden", seconds=60)
        shown = self.js("return [...document.querySelectorAll('.caption textarea[lang=en]')].map(a => a.value)")
        self.assertEqual(sorted(shown), sorted(' '.join(p.split(' ')).strip() for p in PAYLOADS), 'shown as they are')
        self.clean('captions')
        self.click('#tab-find')
        self.drop([(p.replace('/', '\u2215') + '.png', browser.sample('dog.png')) for p in PAYLOADS])
        self.until("return document.querySelectorAll('#found .tile').length === 40", seconds=60)
        self.clean('names')

    def test_texts_of_pngs(self):
        for payload in PAYLOADS:
            own = {k: payload for k in ('prompt', 'negative', 'style', 'seed', 'steps', 'guidance', 'width', 'height')}
            self.state.info = {'info': payload, 'items': {'duet': json.dumps(own), 'parameters': payload}, 'parameters': payload}
            self.drop([('x.png', browser.sample('dog.png'))])
            self.until("return document.getElementById('prompt').value === arguments[0]", payload)
            self.clean(payload)
        self.js("document.getElementById('toasts').replaceChildren()")

    def test_words_of_the_server(self):
        self.expected = ['400']
        for payload in PAYLOADS:
            self.state.refuse = [(400, payload, [])]
            self.js("document.getElementById('prompt').value = 'x'; document.getElementById('draw').click()")
            self.until("return document.getElementById('drawn-error').textContent.includes(arguments[0])", payload)
            self.clean(payload)
        for payload in PAYLOADS[:8]:
            self.state.model = payload
            self.open()
            self.assertEqual(self.text('#server .name'), payload)
            self.clean(payload)

    def test_nothing_is_asked_of_another_host(self):
        self.draw(n=1)
        names = self.js("return performance.getEntriesByType('resource').map(e => e.name)")
        self.assertGreater(len(names), 10)
        self.assertEqual([n for n in names if not n.startswith((self.url, 'blob:' + self.url))], [])

    def test_drawn_under_the_policy(self):
        self.state.csp = mock.CSP
        self.open()
        self.draw(n=1)  # tearDown looks for the policy's complaints in the console


if __name__ == '__main__':
    unittest.main()
