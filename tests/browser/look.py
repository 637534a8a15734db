"""Screenshots of every view, in both languages, both themes, phone and desktop, into build/shots: to be looked at.

    /usr/bin/python3 tests/browser/look.py [PART OF A NAME]
"""
import sys
import time
import unittest

import browser

SAMPLES = ['dog.png', 'saturn.png', 'mushroom.png', 'airplane.png', 'green-heart.png', 'toy-truck.png', 'cup-of-coffee.png',
           'potted-plant.png', 'old-man.png', 'purple-circle.png', 'sad-face.png']
STYLES = [('line icon', '선 아이콘'), ('emoji', '이모지'), ('simple', '단순한'), ('outline', '외곽선'), ('filled icon', '채운 아이콘'), ('blob', '방울'),
          ('3D', '입체'), ('flat', '납작한'), ('sticker', '스티커'), ('cartoon', '만화'), ('photo', '사진'), ('drawing', '그림'), ('glossy icon', '광택 아이콘'),
          ('flat icon', '납작한 아이콘'), ('icon', '아이콘')]
SIZES = {'360': (360, 760, 2), '1440': (1440, 900, 1), '4k': (3840, 2160, 1)}
WANTED = sys.argv[1] if len(sys.argv) > 1 else ''


class Look(browser.PageTest):
    def views(self, lang, size):
        korean = lang == 'ko'
        prompt = '파란 별 위에 빨간 동그라미' if korean else 'a red circle above a blue star'
        name = lambda what: f'{what}-{lang}-{size}'

        def both(what):
            for theme in ('light', 'dark'):
                self.js("document.documentElement.dataset.theme = arguments[0]", theme)
                time.sleep(0.15)
                self.shot(f'{name(what)}-{theme}')

        both('create-empty')
        self.state.delay = 0.12
        self.js("document.getElementById('prompt').value = arguments[0]; document.getElementById('draw').click()", prompt)
        self.until("return document.querySelectorAll('#grid .coming img').length === 4 && document.querySelector('progress').value > 4")
        self.shot(name('create-drawing'))
        self.until("return document.querySelectorAll('#grid button.look').length === 4")
        self.state.delay = 0
        self.js("document.activeElement.blur(); scrollTo(0, 0)")
        both('create')
        self.js("document.querySelector('#grid').scrollIntoView()")
        self.shot(name('create-grid'))
        self.js("document.querySelector('#settings').open = true; scrollTo(0, 0)")
        self.drop([('dog.png', browser.sample('dog.png'))])
        self.until("return !document.getElementById('source').hidden")
        self.shot(name('create-source'))
        self.js("document.querySelector('#grid button.look').click()")
        self.until("return document.getElementById('view-img').naturalWidth")
        both('viewer')
        self.js("document.querySelectorAll('#view-actions button')[2].click()")
        self.until("return document.getElementById('mask').open")
        self.js("""const c = document.getElementById('mask-canvas'), b = c.getBoundingClientRect();
const at = (t, x, y) => c.dispatchEvent(new PointerEvent(t, {pointerId: 1, clientX: b.left + x * b.width, clientY: b.top + y * b.height, bubbles: true}));
c.setPointerCapture = () => {}; at('pointerdown', 0.3, 0.6); at('pointermove', 0.5, 0.8); at('pointermove', 0.7, 0.65); at('pointerup', 0.7, 0.65);""")
        both('mask')
        self.js("document.getElementById('mask').close()")
        self.js("document.getElementById('tab-describe').click()")
        both('describe-empty')
        self.drop([(n, browser.sample(n)) for n in SAMPLES[:6]])
        self.until("return document.getElementById('describe-stop').hidden && document.querySelectorAll('.caption').length === 6", seconds=60)
        both('describe')
        self.js("document.getElementById('tab-find').click()")
        both('find-empty')
        self.drop([(n, browser.sample(n)) for n in SAMPLES])
        self.until("return document.querySelectorAll('#found .tile').length >= 10 && document.getElementById('find-stop').hidden", seconds=60)
        self.js("document.getElementById('query').value = arguments[0]; document.querySelector('#find-form .primary').click()",
                '초록 그림' if korean else 'something green')
        self.until("return document.querySelector('.score').textContent")
        both('find')
        self.js("document.getElementById('tab-history').click()")
        self.until("return document.querySelectorAll('#past .tile').length")
        both('history')


def make(lang, size):
    def test(self):
        self.size(*SIZES[size])
        self.js("localStorage.setItem('duet.lang', arguments[0])", lang)
        self.state.styles = [{'name': en, 'name_ko': ko} for en, ko in STYLES]
        self.open()
        self.until("return document.querySelectorAll('#styles label').length > 10")
        self.views(lang, size)
    return test


for _lang in ('en', 'ko'):
    for _size in SIZES:
        if WANTED in f'{_lang}-{_size}':
            setattr(Look, f'test_{_lang}_{_size}', make(_lang, _size))

if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
