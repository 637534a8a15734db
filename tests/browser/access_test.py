"""The page for everyone: axe-core's rules in every view, the keyboard alone, both languages, narrow and wide, first paint."""
import gzip
import unittest

import browser
import mock
from browser import sample

AXE = None if browser.WHY_NOT else browser.axe_source()
NO_AXE = "SKIPPED: no axe-core: not in build/axe, and PyPI's axe-core-python is out of reach; set AXE=/path/to/axe.min.js"
RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']


class Access(browser.PageTest):
    def every_view(self):
        """Yields the name of each view as it is on screen, empty and filled, dialogs too."""
        for tab in ('create', 'describe', 'find', 'history'):
            self.js("document.getElementById('tab-' + arguments[0]).click()", tab)
            yield f'{tab}, empty'
        self.js("document.getElementById('tab-create').click(); document.getElementById('settings').open = true")
        self.draw('a red circle', 4)
        self.drop([('dog.png', sample('dog.png'))])
        self.until("return !document.getElementById('source').hidden")
        yield 'create, drawn'
        self.js("document.querySelector('#grid button.look').click()")
        self.until("return document.getElementById('viewer').open")
        yield 'viewer'
        self.js("document.querySelectorAll('#view-actions button')[2].click()")
        self.until("return document.getElementById('mask').open")
        yield 'mask'
        self.js("document.getElementById('mask').close(); document.getElementById('tab-describe').click()")
        self.drop([('dog.png', sample('dog.png')), ('saturn.png', sample('saturn.png'))])
        self.until("return document.querySelectorAll('.caption').length === 2 && document.getElementById('describe-stop').hidden")
        yield 'describe'
        self.js("document.getElementById('tab-find').click()")
        self.drop([('dog.png', sample('dog.png')), ('saturn.png', sample('saturn.png'))])
        self.until("return document.querySelectorAll('#found .tile').length === 2 && document.getElementById('find-stop').hidden")
        yield 'find'
        self.js("document.getElementById('tab-history').click()")
        self.until("return document.querySelectorAll('#past .tile').length === 4")
        yield 'history'
        self.js("document.getElementById('history-clear').click()")
        yield 'sure'
        self.js("document.getElementById('sure').close(); document.getElementById('tab-create').click()")

    def run_axe(self, lang, theme, width):
        self.size(width, 800)
        self.js("localStorage.setItem('duet.lang', arguments[0]); localStorage.setItem('duet.theme', arguments[1])", lang, theme)
        self.open()
        self.js(AXE)
        for view in self.every_view():
            found = self.browser.execute_async_script(
                "const end = arguments[1]; axe.run(document, {runOnly: arguments[0]}).then(r => end(r.violations.map("
                "v => v.id + ': ' + v.nodes.map(n => n.html.slice(0, 160) + ' ' + n.failureSummary).join(' | '))))", RULES)
            self.assertEqual(found, [], f'{view}, {lang}, {theme}, {width} px')

    @unittest.skipUnless(AXE, NO_AXE)
    def test_axe_wide_light_english(self):
        self.run_axe('en', 'light', 1440)

    @unittest.skipUnless(AXE, NO_AXE)
    def test_axe_narrow_dark_korean(self):
        self.run_axe('ko', 'dark', 360)

    def test_every_control_has_a_name_and_every_id_is_one(self):
        for view in self.every_view():
            nodes = self.browser.execute_cdp_cmd('Accessibility.getFullAXTree', {})['nodes']
            kinds = {'button', 'textbox', 'slider', 'checkbox', 'radio', 'tab', 'combobox', 'searchbox', 'link', 'image', 'dialog'}
            controls = [n for n in nodes if not n.get('ignored') and n.get('role', {}).get('value') in kinds]
            self.assertGreater(len(controls), 2, view)
            self.assertEqual([n['role']['value'] for n in controls if not n.get('name', {}).get('value')], [], view)
            self.assertEqual(self.js("const i = [...document.querySelectorAll('[id]')].map(n => n.id);"
                                     "return i.filter((x, at) => i.indexOf(x) !== at)"), [], view)

    def test_nothing_is_cut_or_scrolls_sideways(self):
        for lang in ('en', 'ko'):
            for width in (360, 768, 1440, 3840):
                self.size(width, 800)
                self.js("localStorage.setItem('duet.lang', arguments[0])", lang)
                self.open()
                for tab in ('create', 'describe', 'find', 'history'):
                    self.js("document.getElementById('tab-' + arguments[0]).click()", tab)
                    over = self.js("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
                    self.assertLessEqual(over, 0, f'{tab} {lang} {width}')

    def test_by_keyboard_alone(self):
        from selenium.webdriver.common.keys import Keys
        body = lambda: self.browser.switch_to.active_element
        body().send_keys(Keys.TAB)
        self.assertIn('skip', body().get_attribute('class'))
        self.find('#tab-create').send_keys(Keys.ARROW_RIGHT)
        self.assertEqual((body().get_attribute('id'), self.find('#describe').is_displayed()), ('tab-describe', True))
        body().send_keys(Keys.END)
        self.assertEqual(body().get_attribute('id'), 'tab-history')
        body().send_keys(Keys.HOME)
        box = self.find('#prompt')
        box.send_keys('a red circle' + Keys.CONTROL + Keys.ENTER)
        self.until("return document.querySelectorAll('#grid button.look').length === 4")
        self.until("return document.getElementById('spoken').textContent.startsWith('4 drawn')")
        self.all('#grid button.look')[1].send_keys(Keys.ENTER)
        self.until("return document.getElementById('viewer').open")
        body().send_keys(Keys.ARROW_RIGHT)
        body().send_keys(Keys.ESCAPE)
        self.until("return !document.getElementById('viewer').open")

    def test_language_follows_the_browser_and_is_remembered(self):
        self.assertEqual(self.js("return document.documentElement.lang"), 'en')
        self.click('#language')
        self.assertEqual(self.text('#draw span'), '그리기')
        self.draw('빨간 원', 1)
        self.assertEqual(self.text('#grid .badge'), 'AI 생성')
        self.open('#/describe')
        self.assertEqual((self.js("return document.documentElement.lang"), self.text('#tab-describe span')), ('ko', '설명'))
        self.assertEqual(self.js("return document.title"), '설명 · duet')

    def test_theme_is_remembered(self):
        paper = "return getComputedStyle(document.body).backgroundColor"
        self.js("document.documentElement.dataset.theme || document.getElementById('theme').click()")
        light = self.js(paper)
        self.click('#theme')
        dark = self.js(paper)
        self.assertNotEqual(light, dark)
        self.open()
        self.assertEqual(self.js(paper), dark)

    def test_small_and_quick(self):
        size = sum(len(gzip.compress(f.read_bytes())) for f in mock.WEB.iterdir())
        self.assertLessEqual(size, 150_000)
        paints = []
        for _ in range(7):  # the best of some: the rest is what else the machine does
            self.open()
            paints.append(self.until("return performance.getEntriesByName('first-contentful-paint')[0]?.startTime"))
        print(f'\npage: {size} bytes compressed, first paint {min(paints):.0f} ms (of {", ".join(f"{p:.0f}" for p in paints)})')
        self.assertLessEqual(min(paints), 300)


class Korean(browser.PageTest):
    lang = 'ko'

    def test_a_korean_browser_gets_korean(self):
        self.assertEqual((self.js("return document.documentElement.lang"), self.text('label[for=prompt]')), ('ko', '무엇을 그릴까요?'))


if __name__ == '__main__':
    unittest.main()
