"""The page in a real browser, view by view, against the mock server.

    /usr/bin/python3 -m unittest discover -s tests/browser -p '*_test.py' -v
"""
import json
import unittest
import zipfile
import io

import browser
import mock
import pictures
from browser import sample

PAINT = """
const canvas = document.getElementById('mask-canvas'), box = canvas.getBoundingClientRect();
canvas.setPointerCapture = () => {};
const at = (kind, [x, y]) => canvas.dispatchEvent(new PointerEvent(kind, {pointerId: 1, pointerType: arguments[1], bubbles: true,
  clientX: box.left + x * box.width, clientY: box.top + y * box.height}));
const points = arguments[0];
at('pointerdown', points[0]); points.slice(1).forEach(p => at('pointermove', p)); at('pointerup', points.at(-1));
"""


class Create(browser.PageTest):
    def test_draws_and_pictures_sharpen(self):
        self.state.delay = 0.03
        self.js("""window.seen = [];
new MutationObserver(() => seen.push(document.querySelectorAll('#grid .coming img').length)).observe(
  document.getElementById('grid'), {childList: true, subtree: true});""")
        self.draw('a red circle above a blue star', 4)
        [asked] = self.asked('/v1/images/generations')
        self.assertEqual((asked['prompt'], asked['n'], asked['stream'], asked['background'], asked['response_format']),
                         ('a red circle above a blue star', 4, True, 'transparent', 'b64_json'))
        self.assertGreater(self.js("return Math.max(...window.seen)"), 2, 'previews were shown before the end')
        self.assertIn('4 drawn in', self.text('#drawn-state'))
        self.assertEqual([b.text for b in self.all('#grid .badge')], ['AI-made'] * 4)
        self.assertEqual(self.js("return document.querySelector('#grid img').naturalWidth"), 64)

    def test_steps_and_guidance_are_the_models_until_somebody_chooses(self):
        def asked():
            self.draw('a blue star', 1)
            fields = self.asked('/v1/images/generations')[-1]
            return fields['steps'], fields['guidance']
        self.assertEqual(asked(), (24, 5))
        self.state.sampling = {'steps': 4, 'guidance': 1}  # the server was started anew, with other weights
        self.open()
        self.assertEqual(asked(), (4, 1))
        self.js("document.getElementById('settings').open = true")
        self.js("const s = document.getElementById('steps'); s.value = 7; s.dispatchEvent(new Event('input', {bubbles: true}))")
        self.state.sampling = {'steps': 24, 'guidance': 5}
        self.open()
        self.assertEqual(asked(), (7, 5))  # what was chosen stays

    def test_download_is_the_servers_file(self):
        self.draw('a blue star', 1)
        saved = self.downloads()
        self.js("document.querySelector('#grid .quick button').click()")
        self.until("return Object.keys(window.saved).length")
        [(name, png)] = saved().items()
        seed = self.asked('/v1/images/generations')[0]['seed']
        self.assertEqual(name, f'duet-a-blue-star-{seed}.png')
        self.assertEqual(png, mock.drawn_png('a blue star', seed, self.asked('/v1/images/generations')[0]))

    def test_corner_mark_keeps_the_settings(self):
        self.js("document.getElementById('settings').open = true")
        self.click('#cornermark')
        self.draw('a blue star', 1)
        saved = self.downloads()
        self.js("document.querySelector('#grid .quick button').click()")
        self.until("return Object.keys(window.saved).length")
        [png] = saved().values()
        plain = mock.drawn_png('a blue star', self.asked('/v1/images/generations')[0]['seed'], self.asked('/v1/images/generations')[0])
        self.assertEqual(pictures.texts(png), pictures.texts(plain))
        before, after = pictures.decode(plain)[2], pictures.decode(png)[2]
        corner = lambda rgba: [rgba[4 * (y * 64 + x) + 3] for y in range(54, 64) for x in range(48, 64)]
        self.assertGreater(sum(corner(after)), sum(corner(before)), 'the mark is in the corner')

    def test_seed_lock(self):
        self.draw(n=1)
        self.draw(n=1)
        first, second = [f['seed'] for f in self.asked('/v1/images/generations')]
        self.assertNotEqual(first, second, 'unlocked: another seed each time')
        self.click('#lock')
        self.draw(n=1)
        self.assertEqual(self.asked('/v1/images/generations')[2]['seed'], second)
        box = self.find('#seed')
        box.clear()
        box.send_keys('12x')
        self.click('#draw')
        self.assertIn('whole number', self.text('#toasts'))
        box.clear()
        box.send_keys('7')
        self.draw(n=1)
        self.assertEqual(self.asked('/v1/images/generations')[3]['seed'], 7)

    def test_settings_are_sent_and_survive_a_reload(self):
        self.js("""document.getElementById('settings').open = true;
const set = (id, v) => { const n = document.getElementById(id); n.value = v; n.dispatchEvent(new Event('input', {bubbles: true})); };
set('size', '96x64'); set('guidance', 4.5); set('steps', 32); set('negative', 'text');
document.querySelector("[name=style][value=emoji]").click(); for (const id of ['transparent', 'clean']) document.getElementById(id).click();""")
        self.find('#prompt').send_keys('강아지')
        self.open()
        self.assertEqual(self.js("return document.getElementById('prompt').value"), '강아지')
        self.js("document.getElementById('draw').click()")
        self.until("return document.querySelectorAll('#grid button.look').length === 4")
        [f] = self.asked('/v1/images/generations')
        self.assertEqual([f[k] for k in ('prompt', 'size', 'guidance', 'steps', 'negative_prompt', 'style', 'background', 'finish')],
                         ['강아지', '96x64', 4.5, 32, 'text', 'emoji', 'opaque', 'raw'])

    def test_each_picture_is_the_best_of_four_but_where_a_seed_is_its_own(self):
        def asked():
            return [(f['seed'], f.get('best_of')) for f in self.asked('/v1/images/generations')]
        self.draw('a cat', 1)
        self.click('#lock')  # the same again
        self.draw(n=1)
        [(first, best), again] = asked()
        self.assertEqual(best, 4)
        self.assertEqual(again, (first, 4))
        box = self.find('#seed')
        box.clear()
        box.send_keys('7')  # somebody's own
        self.draw(n=1)
        self.assertEqual(asked()[2], (7, None))
        self.open()  # and still after a reload
        self.draw(n=1)
        self.assertEqual(asked()[3], (7, None))
        self.click('#lock')
        self.draw(n=1)
        self.assertEqual(asked()[4][1], 4)
        self.js("document.getElementById('settings').open = true; document.getElementById('best').click()")
        self.draw(n=1)
        self.assertEqual(asked()[5][1], None)

    def test_styles_are_those_the_model_knows(self):
        def offered():
            return self.js("return [...document.querySelectorAll('#styles label')].map(l => [l.control.value, l.textContent])")
        self.assertEqual(offered(), [['', 'Any'], ['emoji', 'Emoji'], ['photo', 'Photo'], ['drawing', 'Drawing'], ['cartoon', 'Cartoon']])
        self.state.styles = [{'name': 'emoji', 'name_ko': '이모지'}, {'name': 'line icon', 'name_ko': '선 아이콘'}, {'name': '<b>mine', 'name_ko': ''}]
        self.open()
        self.until("return document.querySelectorAll('#styles label').length === 4")
        self.assertEqual(offered(), [['', 'Any'], ['emoji', 'Emoji'], ['line icon', 'Line icon'], ['<b>mine', '<b>mine']])
        self.js("document.querySelector('#styles [value=\"line icon\"]').click()")
        self.draw('a cat', 1)
        self.assertEqual(self.asked('/v1/images/generations')[0]['style'], 'line icon')
        self.click('#language')
        self.assertEqual([name for _, name in offered()], ['상관없음', '이모지', '선 아이콘', '<b>mine'])
        self.assertEqual(self.js("return document.querySelector('[name=style]:checked').value"), 'line icon')
        self.state.styles = []  # other weights: what was chosen stays, and can be seen
        self.open()
        self.until("return document.querySelectorAll('#styles label').length === 6")
        self.assertEqual(self.js("return document.querySelector('[name=style]:checked').value"), 'line icon')

    def test_cancel_stops_at_once(self):
        self.state.delay = 0.2
        self.find('#prompt').send_keys('a red circle')
        self.click('#draw')
        self.until("return document.querySelector('#grid progress').value > 1")
        self.js("document.getElementById('draw').click()")
        self.until("return !document.querySelector('#draw.running')")
        self.until("return document.getElementById('empty').hidden === false")
        for _ in range(50):
            if ('gone', '/v1/images/generations') in self.state.seen:
                break
            self.js('return new Promise(r => setTimeout(r, 100))')
        self.assertIn(('gone', '/v1/images/generations'), self.state.seen, 'the server was told by the closed connection')

    def test_more_like_this(self):
        self.draw('a red circle', 1)
        self.js("document.querySelectorAll('#grid .quick button')[1].click()")
        self.until("return !document.getElementById('source').hidden && document.querySelector('#grid .coming')")
        self.until("return document.querySelector('#grid button.look') && !document.querySelector('.running')")
        [f] = self.asked('/v1/images/variations')
        self.assertEqual(pictures.decode(f['image'])[:2], (64, 64))
        self.assertEqual((f['n'], f['strength'], f['prompt'].decode()), (b'1', b'0.5', 'a red circle'))
        self.assertIn('a red circle', self.text('#source'))

    def test_paint_a_mask_and_say_what_to_change(self):
        self.draw('a red circle', 1)
        before = self.asked('/v1/images/generations')[0]
        self.js("document.querySelectorAll('#grid .quick button')[2].click()")
        self.until("return document.getElementById('mask').open")
        self.click('#mask-form [type=submit]')
        self.assertIn('Paint over', self.text('#mask-error'))
        self.js(PAINT, [[0.2, 0.2], [0.5, 0.2]], 'mouse')
        one = self.text('#mask-share')
        self.js(PAINT, [[0.2, 0.8], [0.8, 0.8]], 'touch')
        self.assertNotEqual(self.text('#mask-share'), one)
        self.click('#mask-undo')
        self.assertEqual(self.text('#mask-share'), one)
        box = self.find('#mask-prompt')
        box.clear()
        box.send_keys('a blue star')
        self.click('#mask-form [type=submit]')
        self.until("return document.querySelector('#grid img')?.alt.includes('a blue star') && !document.querySelector('.running')")
        [f] = self.asked('/v1/images/edits')
        self.assertEqual(f['prompt'], b'a blue star')
        self.assertEqual(f['image'], mock.drawn_png('a red circle', before['seed'], before), "the server's own bytes")
        _, _, rgba = pictures.decode(f['mask'])
        alpha = lambda x, y: rgba[4 * (64 * y + x) + 3]
        self.assertEqual({rgba[p] for p in range(3, len(rgba), 4)}, {0, 255}, 'hard-edged')
        self.assertEqual([alpha(13, 13), alpha(22, 13), alpha(31, 13)], [0, 0, 0], 'painted: alpha 0')
        self.assertEqual([alpha(2, 2), alpha(32, 51), alpha(60, 13)], [255, 255, 255], 'not painted, or undone')

    def test_the_mask_by_keyboard(self):
        self.draw('a red circle', 1)
        self.js("document.querySelectorAll('#grid .quick button')[2].click()")
        self.until("return document.activeElement.id === 'mask-canvas'")
        from selenium.webdriver.common.keys import Keys
        canvas = self.find('#mask-canvas')
        canvas.send_keys(Keys.SPACE)
        one = self.text('#mask-share')
        self.assertNotIn('0 %', one.split()[0])
        canvas.send_keys(Keys.ARROW_LEFT * 4 + Keys.SPACE)
        self.assertNotEqual(self.text('#mask-share'), one)
        canvas.send_keys(Keys.CONTROL + 'z')
        self.assertEqual(self.text('#mask-share'), one)
        canvas.send_keys(Keys.ESCAPE)
        self.until("return !document.getElementById('mask').open")
        self.assertEqual(self.asked('/v1/images/edits'), [])

    def test_a_dropped_png_brings_its_settings_back(self):
        png = mock.drawn_png('초록 하트', 77, {'steps': 30, 'guidance': 5, 'negative_prompt': 'text', 'style': 'icon'})
        self.drop([('mine.png', png)])
        self.until("return !document.getElementById('source').hidden")
        get = lambda id: self.js('return document.getElementById(arguments[0]).value', id)
        self.assertEqual([get(i) for i in ('prompt', 'seed', 'steps', 'guidance', 'negative', 'size')],
                         ['초록 하트', '77', '30', '5', 'text', '64x64'])
        self.assertEqual(self.js("return document.querySelector('[name=style]:checked').value"), 'icon')
        self.assertEqual(self.js("return document.getElementById('lock').getAttribute('aria-pressed')"), 'true')

    def test_the_infotext_of_other_tools(self):
        self.state.info = {'info': 'a cat, sitting\nNegative prompt: blurry\nSteps: 12, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 512x768', 'items': {}}
        self.drop([('other.png', sample('dog.png'))])
        self.until("return !document.getElementById('source').hidden")
        get = lambda id: self.js('return document.getElementById(arguments[0]).value', id)
        self.assertEqual([get(i) for i in ('prompt', 'seed', 'steps', 'guidance', 'negative', 'size')],
                         ['a cat, sitting', '5', '12', '7', 'blurry', '512x768'])

    def test_a_picture_without_settings_and_a_file_that_is_none(self):
        self.drop([('dog.png', sample('dog.png'))])
        self.until("return !document.getElementById('source').hidden")
        self.assertIn('dog.png', self.text('#source'))
        self.drop([('notes.txt', b'not a picture')])
        self.until("return document.getElementById('toasts').textContent.includes('notes.txt is not a picture')")

    def test_a_letter_that_the_model_cannot_read_is_said(self):
        self.draw('a 赤 star', 1)
        self.assertIn('has not learned to read “赤”', self.text('#toasts'))
        self.js("document.getElementById('toasts').replaceChildren()")
        self.draw('a red star', 1)
        self.assertNotIn('has not learned', self.text('#toasts'))

    def test_errors_are_shown_and_tried_again(self):
        self.expected = ['400']
        self.state.refuse = [(400, 'size: 7x7 is no multiple of 8', [])]
        self.find('#prompt').send_keys('x')
        self.click('#draw')
        self.until("return !document.getElementById('drawn-error').hidden")
        self.assertIn('size: 7x7 is no multiple of 8', self.text('#drawn-error'))
        self.assertIn('req-42', self.text('#drawn-error'))
        self.click('#drawn-error button')
        self.until("return document.querySelectorAll('#grid button.look').length === 4")
        self.assertTrue(self.js("return document.getElementById('drawn-error').hidden"))

    def test_a_busy_server_is_waited_for(self):
        self.expected = ['429']
        self.state.refuse = [(429, 'full', [('Retry-After', '1')])]
        self.find('#prompt').send_keys('x')
        self.click('#draw')
        self.until("return document.getElementById('drawn-state').textContent.includes('in 1 s')")
        self.until("return document.querySelectorAll('#grid button.look').length === 4")

    def test_a_stream_that_breaks_off(self):
        self.state.cut = True
        self.find('#prompt').send_keys('x')
        self.click('#draw')
        self.until("return !document.getElementById('drawn-error').hidden")
        self.assertIn('in the middle', self.text('#drawn-error'))

    def test_a_key_is_asked_for_once(self):
        self.expected = ['401']
        self.state.key = 'sesame'
        self.open_locked()
        for word, wrong in (('no', False), ('sesame', True)):
            self.assertEqual(self.js("return !document.getElementById('key-error').hidden"), wrong)
            self.find('#key-value').send_keys(word)
            self.click('#key-form [type=submit]')
            self.until("return document.getElementById('key').open === arguments[0]", word == 'no')
        self.until("return document.getElementById('server').dataset.state === 'on'")
        self.draw(n=1)
        self.open()
        self.assertFalse(self.js("return document.getElementById('key').open"))

    def open_locked(self):
        self.browser.get('about:blank')
        self.browser.get(self.url)
        self.until("return document.getElementById('key').open")


class Describe(browser.PageTest):
    def setUp(self):
        super().setUp()
        self.open('#/describe')

    def add(self, names):
        self.drop([(n, sample(n)) for n in names])
        self.until("return document.querySelectorAll('.caption').length >= arguments[0] && document.getElementById('describe-stop').hidden",
                   len(names))

    def test_captions_stream_in_and_are_exported(self):
        self.state.delay = 0.01
        self.add(['dog.png', 'saturn.png'])
        values = self.js("return [...document.querySelectorAll('.caption textarea')].map(a => a.value)")
        self.assertEqual(values, [mock.CAPTIONS['en'], mock.CAPTIONS['ko']] * 2)
        area = self.all('.caption textarea')[0]
        area.clear()
        area.send_keys('a yellow dog, "guide"')
        self.js("document.activeElement.blur()")
        saved = self.downloads()
        for kind in ('coco', 'csv', 'txt'):
            self.click(f'#export-{kind}')
        files = saved()
        coco = json.loads(files['captions.json'])
        self.assertEqual([(i['id'], i['file_name'], i['width']) for i in coco['images']], [(1, 'dog.png', 64), (2, 'saturn.png', 64)])
        self.assertEqual([(a['image_id'], a['caption']) for a in coco['annotations'][:2]],
                         [(1, 'a yellow dog, "guide"'), (1, mock.CAPTIONS['ko'])])
        self.assertEqual([a['id'] for a in coco['annotations']], [1, 2, 3, 4])
        lines = files['captions.csv'].decode('utf-8-sig').split('\r\n')
        self.assertEqual(lines[:2], ['file_name,caption,caption_ko', f'dog.png,"a yellow dog, ""guide""",{mock.CAPTIONS["ko"]}'])
        archive = zipfile.ZipFile(io.BytesIO(files['captions.zip']))
        self.assertIsNone(archive.testzip())
        self.assertEqual(sorted(archive.namelist()), ['en/dog.txt', 'en/saturn.txt', 'ko/dog.txt', 'ko/saturn.txt'])
        self.assertEqual(archive.read('ko/dog.txt').decode(), mock.CAPTIONS['ko'] + '\n')

    def test_corrections_survive_a_reload(self):
        self.add(['dog.png'])
        area = self.all('.caption textarea')[1]
        area.clear()
        area.send_keys('안내견')
        self.js("document.activeElement.blur()")
        self.js("return new Promise(r => setTimeout(r, 300))")
        self.open('#/describe')
        self.until("return document.querySelectorAll('.caption').length === 1")
        self.assertEqual(self.js("return document.querySelectorAll('.caption textarea')[1].value"), '안내견')

    def test_one_language_asks_half(self):
        self.js("document.querySelector('[name=captions][value=ko]').click()")
        self.add(['dog.png'])
        self.assertEqual(len(self.asked('/v1/chat/completions')), 1)
        self.assertEqual(self.js("return document.querySelectorAll('.caption textarea')[0].value"), '')

    def test_a_file_that_is_no_picture(self):
        self.drop([('bad.png', b'\x89PNG nothing'), ('dog.png', sample('dog.png'))])
        self.until("return document.getElementById('toasts').textContent.includes('bad.png is not a picture')")
        self.until("return document.querySelectorAll('.caption').length === 1 && document.getElementById('describe-stop').hidden")

    def test_the_same_name_twice(self):
        self.add(['dog.png'])
        self.add(['dog.png'])
        self.until("return document.querySelectorAll('.caption').length === 2")
        self.assertEqual(self.js("return [...document.querySelectorAll('.caphead .name')].map(n => n.textContent)"), ['dog.png', 'dog-2.png'])


class Find(browser.PageTest):
    NAMES = ['dog.png', 'green-heart.png', 'purple-circle.png', 'saturn.png', 'toy-truck.png']

    def setUp(self):
        super().setUp()
        self.open('#/find')

    def add(self, files):
        self.drop(files)
        self.until("return document.getElementById('find-stop').hidden && document.querySelectorAll('#found .tile').length")

    def order(self):
        return self.js("return [...document.querySelectorAll('#found .name')].map(n => n.textContent)")

    def test_by_words_and_by_a_picture(self):
        self.add([(n, sample(n)) for n in self.NAMES])
        self.assertEqual(self.order(), self.NAMES)
        self.find('#query').send_keys('초록')
        self.click('#find-form [type=submit]')
        self.until("return document.querySelector('#found .score').textContent")
        self.assertEqual(self.order()[0], 'green-heart.png')
        scores = [float(s) for s in self.js("return [...document.querySelectorAll('.score')].map(n => n.textContent)")]
        self.assertEqual(scores, sorted(scores, reverse=True))
        self.assertIn('초록', self.text('#find-state'))
        self.drop([('other.png', sample('purple-circle.png'))], '#query')
        self.until("return document.getElementById('find-state').textContent.includes('this picture')")
        self.assertEqual(self.order()[0], 'purple-circle.png')
        self.assertEqual(self.text('#found .score'), '1.00')

    def test_a_folder_opened_again_is_not_sent_again(self):
        files = [(n, sample(n)) for n in self.NAMES]
        self.add(files)
        sent = len(self.asked('/v1/embeddings'))
        self.open('#/find')
        self.add(files)
        self.assertEqual(len(self.asked('/v1/embeddings')), sent)
        self.assertEqual(len(self.order()), len(self.NAMES))

    def test_one_bad_picture_costs_only_itself(self):
        self.expected = ['400']
        self.state.refuse = [(400, 'input[0] is no picture', [])]
        self.add([(n, sample(n)) for n in self.NAMES] + [('bad.png', b'not a png'), ('x.txt', b'words')])
        self.assertEqual(self.order(), self.NAMES)
        self.assertIn('5 pictures ready, 1 could not be read', self.text('#find-state'))


class History(browser.PageTest):
    def test_survives_a_reload_and_a_restart(self):
        self.draw('a red circle', 1)
        self.draw('파란 별', 4)
        self.open('#/history')
        self.until("return document.querySelectorAll('#past .tile').length === 5")
        self.open()
        self.until("return document.querySelectorAll('#grid .tile').length === 4")
        self.assertEqual(self.text('#drawn-title'), '파란 별', 'the last drawing is there again')
        cls = type(self)
        cls.browser.quit()
        cls.browser = browser.open_browser(cls.profile, cls.lang)
        self.open('#/history')
        self.until("return document.querySelectorAll('#past .tile').length === 5")
        self.assertIn('5 pictures', self.text('#history-state'))

    def test_search_use_delete_and_undo(self):
        self.draw('a red circle', 1)
        self.draw('파란 별', 1)
        self.click('#tab-history')
        self.until("return document.querySelectorAll('#past .tile').length === 2")
        self.find('#history-query').send_keys('red')
        self.until("return document.querySelectorAll('#past .tile').length === 1")
        self.js("document.querySelector('#past button.look').click()")
        self.until("return document.getElementById('viewer').open")
        self.assertEqual(self.text('#view-title'), 'a red circle')
        self.js("document.querySelectorAll('#view-actions button')[3].click()")
        self.assertEqual(self.js("return [document.getElementById('prompt').value, document.getElementById('seed').value]"),
                         ['a red circle', str(self.asked('/v1/images/generations')[0]['seed'])])
        self.click('#tab-history')
        self.js("document.querySelectorAll('#past .quick button')[2].click()")
        self.until("return document.querySelectorAll('#past .tile').length === 0")
        self.click('#toasts .link')
        self.until("return document.querySelectorAll('#past .tile').length === 1")
        self.click('#history-clear')
        self.until("return document.getElementById('sure-yes').checkVisibility()")
        self.click('#sure-yes')
        self.until("return !document.getElementById('history-empty').hidden")
        self.open('#/history')
        self.assertEqual(self.js("return document.querySelectorAll('#past .tile').length"), 0, 'deleted is deleted')


if __name__ == '__main__':
    unittest.main()
