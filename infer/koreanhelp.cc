// tests/infer/koreanhelp_test.cc holds the tables against the verbs. What stands alone (a command) has no row. Of prompts in
// examples the Korean are Korean.
#include "infer/koreanhelp.h"

#include "text/korean.h"

namespace duet {
namespace {

const KoreanMessage kLabels[] = {
    {"Usage", "사용법"},     {"OPTIONS", "옵션"}, {"SUBCOMMAND", "명령"}, {"Positionals", "인자"}, {"Options", "옵션"},
    {"Subcommands", "명령"}, {"TEXT", "글"},      {"INT", "정수"},        {"UINT", "정수"},        {"FLOAT", "실수"},
};

const KoreanMessage kHelp[] = {
    // the program
    {"duet: one model that draws pictures from words and reads pictures into words.\n"
     "Trains, evaluates and runs; English and Korean. 'duet VERB --help' tells more.\n\n"
     "  duet generate \"a red circle above a blue star\" -o circle.png\n"
     "  duet caption photos/*.jpg --lang ko\n"
     "  duet search photos \"고양이\"",
     "duet: 모델 하나로 글을 그림으로 그리고 그림을 글로 설명합니다.\n"
     "학습하고 평가하고 실행합니다. 영어와 한국어를 압니다. 자세한 것은 'duet 명령 --help'에 있습니다.\n\n"
     "  duet generate \"파란 별 위에 빨간 원\" -o circle.png\n"
     "  duet caption photos/*.jpg --lang ko\n"
     "  duet search photos \"고양이\""},
    {"Print this help message and exit", "이 도움말을 출력하고 끝냅니다"},
    {"Display program version information and exit", "버전을 출력하고 끝냅니다"},
    // verbs
    {"draw 16 prompts; caption, classify and search pictures never trained on",
     "프롬프트 16개를 그리고, 학습에 쓰지 않은 그림을 설명·분류·검색합니다"},
    {"draw pictures from words: PNG with transparency, prompt and seed inside",
     "글로 그림을 그립니다. 투명 배경 PNG이고 프롬프트와 시드가 파일에 담깁니다"},
    {"say what is on pictures", "그림에 무엇이 있는지 설명합니다"},
    {"which of some labels fits a picture, without training for them",
     "여러 분류 가운데 그림에 맞는 것을 고릅니다. 그 분류를 따로 학습하지 않아도 됩니다"},
    {"unit vectors of pictures and texts; close where they mean the same",
     "그림과 글의 임베딩(단위 벡터)을 구합니다. 뜻이 같으면 서로 가깝습니다"},
    {"a web page and an HTTP API (OpenAI's, and part of AUTOMATIC1111's)",
     "웹 페이지와 HTTP API(OpenAI 방식, 그리고 AUTOMATIC1111의 일부)를 엽니다"},
    {"find pictures by words or by a picture", "글이나 다른 그림으로 그림을 찾습니다"},
    {"what a weights file holds: config, size, tokenizer, how it was trained",
     "가중치 파일에 든 것을 보여 줍니다: 설정, 크기, 토크나이저, 학습 방법"},
    {"write a model's weights smaller: int8 for the blocks, bf16 for the rest",
     "모델의 가중치를 더 작게 저장합니다: 블록은 int8, 나머지는 bf16"},
    {"one model of several: the weighted mean of their weights; smaller ones are grown to the largest",
     "여러 모델을 하나로 합칩니다: 가중치를 비율대로 평균하며, 작은 모델은 가장 큰 것에 맞춰 키웁니다"},
    {"what a model can do, in figures: generate, scenes, binding, icons, retrieval, classify, caption; compare",
     "모델의 능력을 수치로 잽니다: generate, scenes, binding, icons, retrieval, classify, caption. 결과끼리 견주기: compare"},
    {"train a model: flow, caption and contrastive losses in one run",
     "모델을 학습합니다: 한 번의 학습에 플로, 설명, 대조 손실을 함께 씁니다"},
    {"what a training run takes: parameters, FLOPs, memory, time",
     "학습에 드는 것을 미리 알아봅니다: 파라미터, 연산량(FLOPs), 메모리, 시간"},
    {"build and look at data sets", "데이터 세트를 만들고 살펴봅니다"},
    {"turn sources into WebDataset shards of pictures with captions", "출처에서 그림과 설명을 모아 WebDataset 샤드로 만듭니다"},
    {"a contact sheet of a data set", "데이터 세트의 모음 그림을 만듭니다"},
    {"train and use a byte-level BPE tokenizer (Hugging Face tokenizer.json)",
     "바이트 단위 BPE 토크나이저를 학습하고 씁니다(Hugging Face tokenizer.json)"},
    {"learn a vocabulary from text files, one text a line", "텍스트 파일(한 줄에 글 하나)에서 어휘를 배웁니다"},
    {"text from standard input to ids", "표준 입력의 글을 번호로 바꿉니다"},
    {"ids from standard input to text", "표준 입력의 번호를 글로 바꿉니다"},
    {"draw captions in both languages; judge the drawings by measures that are not the model's; a page with pictures",
     "두 언어의 설명대로 그려 모델과 무관한 척도로 평가하고, 그림이 든 보고서를 씁니다"},
    {"draw scenes from prompts and let a program check them; caption true scenes",
     "프롬프트대로 그린 장면을 프로그램으로 검사합니다. 정답 장면에 붙인 설명도 검사합니다"},
    {"does it know which of two things has which shape and colour, by the words?",
     "둘 가운데 어느 것이 어떤 모양과 색인지 글만 보고 아는지 알아봅니다"},
    {"draw training captions; rank their own pictures by a plain image distance",
     "학습에 쓴 설명대로 그리고, 단순한 그림 간 거리로 원래 그림의 순위를 매깁니다"},
    {"find pictures by text and texts by picture, in both languages", "글로 그림을, 그림으로 글을 찾습니다(두 언어 모두)"},
    {"pictures into the categories of their data set, by name; intervals by unit (data build --together)",
     "그림을 데이터 세트의 분류 이름대로 나눕니다. 구간은 그림이 아니라 단위(data build --together)로 구합니다"},
    {"caption pictures and compare with what people wrote", "그림을 설명하고 사람이 쓴 설명과 견줍니다"},
    {"two results of the same evaluation, item by item: what differs, and how surely",
     "같은 평가의 결과 둘을 항목마다 견줍니다: 무엇이 다르고 얼마나 확실한지"},
    // weights, device, drawing
    {"model folder or .safetensors, or the name of weights that ship: {} (default: $DUET_WEIGHTS, else {})",
     "모델 폴더나 .safetensors, 또는 함께 오는 가중치의 이름: {} (기본값: $DUET_WEIGHTS, 없으면 {})"},
    {"model folder, .safetensors, or {} (default: $DUET_WEIGHTS, else {})",
     "모델 폴더, .safetensors, 또는 {} (기본값: $DUET_WEIGHTS, 없으면 {})"},
    {"cuda, cpu, or auto: cuda where a card answers",
     "cuda, cpu, auto 가운데 하나. auto: 쓸 수 있는 그래픽 카드가 있으면 cuda"},
    {"f32, bf16, fp16 (AVX-512 FP16), or auto: bf16 on a card; on a CPU what is fastest there",
     "f32, bf16, fp16(AVX-512 FP16), auto 가운데 하나. auto: 그래픽 카드에서는 bf16, CPU에서는 거기서 가장 빠른 것"},
    {"the blocks' weights in fewer bits, a little less exact: none; int8, which is faster on a CPU with AVX-512 VNNI; on "
     "a card int8, fp8 or int4, which take a quarter to a sixth of the memory",
     "블록의 가중치를 더 적은 비트로 씁니다. 조금 덜 정확합니다. none: 그대로. int8: AVX-512 VNNI가 있는 CPU에서 더 빠릅니다. "
     "그래픽 카드에서는 int8, fp8, int4로 메모리를 4분의 1에서 6분의 1만 씁니다"},
    {"threads; 0: all", "스레드 수. 0: 모두"},
    {"steps from noise to picture; fewer are faster (default: as the weights say, else 24)",
     "노이즈에서 그림까지의 단계 수. 적을수록 빠릅니다(기본값: 가중치에 적힌 값, 없으면 24)"},
    {"how strictly to follow the words; 1: as it comes (default: as the weights say, else 5)",
     "가이던스: 글에 충실한 정도. 1: 쓰지 않음(기본값: 가중치에 적힌 값, 없으면 5)"},
    {"guidance from this time on; noise is 0, the picture 1", "이 시점부터 가이던스를 씁니다. 노이즈가 0, 그림이 1입니다"},
    {"guidance up to this time; steps without it take half as long",
     "이 시점까지 가이던스를 씁니다. 가이던스가 없는 단계는 시간이 절반만 듭니다"},
    {"above 1: more of the steps near noise, below 1: near the picture (default: as the weights say, else 3)",
     "1보다 크면 노이즈 쪽에, 작으면 그림 쪽에 단계를 더 둡니다(기본값: 가중치에 적힌 값, 없으면 3)"},
    {"clean: flat colour without mottle, clear background, clean edges; raw: as the model drew it (default: clean)",
     "clean: 얼룩 없는 단색, 깨끗한 배경, 매끈한 테두리. raw: 모델이 그린 그대로(기본값: clean)"},
    {"second-order steps: twice the time a step, fewer steps needed",
     "2차 방법(Heun): 단계마다 시간이 두 배 들지만 단계 수는 적어도 됩니다"},
    {"draw as many of each and keep the one that the model reads best",
     "그림마다 이만큼 그려 모델이 가장 잘 읽어 내는 한 장만 남깁니다"},
    {"pictures drawn together; changes speed only", "한꺼번에 그리는 그림 수. 속도만 달라집니다"},
    // demo
    {"folder to write to", "결과를 쓸 폴더"},
    {"pictures to read, their names are the labels (default: assets/samples)",
     "읽을 그림 폴더. 파일 이름이 분류가 됩니다(기본값: assets/samples)"},
    {"print captions.json; the lines go to standard error",
     "captions.json의 내용을 출력합니다. 진행 상황은 표준 오류로 나갑니다"},
    // generate
    {"what to draw, English or Korean; \"\" draws whatever the model likes",
     "그릴 것(영어나 한국어). \"\"이면 모델이 마음대로 그립니다"},
    {"FILE with a prompt a line instead (- is standard input): one picture of each, all from the same seeds",
     "프롬프트를 한 줄에 하나씩 적은 FILE(-는 표준 입력)을 대신 줍니다. 줄마다 한 장씩, 모두 같은 시드로 그립니다"},
    {"FILE.png; with -n above 1 or --prompts FILE-1.png ... (with both FILE-1-1.png ...; default: duet-SEED.png)",
     "FILE.png. -n이 1보다 크거나 --prompts를 쓰면 FILE-1.png ... (둘 다면 FILE-1-1.png ..., 기본값: duet-SEED.png)"},
    {"how many, with seeds SEED, SEED+1 ... (with --best-of N: of N seeds each)",
     "그림 수. 시드는 SEED, SEED+1 ... (--best-of N이면 한 장에 시드 N개씩)"},
    {"begin as many for each and keep the one that the model reads best (default: 4; with --seed 1, which is that seed's own)",
     "그림마다 이만큼 시작해 모델이 가장 잘 읽어 내는 한 장만 남깁니다(기본값: 4. --seed를 주면 1이며 그 시드의 그림이 그대로 "
     "나옴)"},
    {"0 and up; the same seed and settings give the same bytes (default: random, printed)",
     "0 이상. 시드와 설정이 같으면 바이트까지 같은 그림이 나옵니다(기본값: 무작위로 골라 출력)"},
    {"pixels a side, or WIDTHxHEIGHT (default: what the model learned, at which all is drawn and then scaled)",
     "한 변의 픽셀 수, 또는 너비x높이(기본값: 모델이 학습한 크기. 언제나 그 크기로 그린 뒤 늘리거나 줄입니다)"},
    {"words to steer away from", "네거티브 프롬프트: 그림에서 빼고 싶은 것"},
    {"look, said after the prompt: emoji, photo, outline ...; duet info lists what weights know",
     "스타일. 프롬프트 뒤에 붙입니다: emoji, photo, outline ... 가중치가 아는 스타일은 duet info로 봅니다"},
    {"also one page of all: FILE-grid.png", "한 장에 모두 모은 그림도 씁니다: FILE-grid.png"},
    {"print what was written, and how, as JSON", "무엇을 어떻게 그려 썼는지 JSON으로 출력합니다"},
    {"Paths go to standard output, the seed to standard error.\n"
     "  duet generate \"a red circle above a blue star\" -o circle.png --seed 7\n"
     "  duet generate \"고양이\" -n 4 --grid --style emoji -o cat.png\n"
     "  duet generate --prompts icons.txt --style outline --seed 7 --grid -o icon.png",
     "경로는 표준 출력으로, 시드는 표준 오류로 나갑니다.\n"
     "  duet generate \"파란 별 위에 빨간 원\" -o circle.png --seed 7\n"
     "  duet generate \"고양이\" -n 4 --grid --style emoji -o cat.png\n"
     "  duet generate --prompts icons.txt --style outline --seed 7 --grid -o icon.png"},
    // caption
    {"JPEG, PNG, WebP or DICOM (its first frame) of any size, or folders of them",
     "JPEG, PNG, WebP나 DICOM(첫 프레임), 또는 그런 그림이 든 폴더. 크기는 상관없습니다"},
    {"en, ko or both", "en(영어), ko(한국어), both(둘 다)"},
    {"wordings followed at a time; 1: the likeliest next word",
     "빔 수: 한꺼번에 따라가는 문장의 수. 1: 가장 그럴듯한 다음 단어만"},
    {"above 0: words are drawn by chance instead of searched for", "0보다 크면 단어를 탐색하지 않고 확률에 따라 뽑습니다"},
    {"drawn from the k likeliest words alone; 0: all", "가장 그럴듯한 단어 k개에서만 뽑습니다. 0: 모두"},
    {"drawn from the likeliest words that together reach p", "그럴듯한 순서로, 확률의 합이 p에 이르는 단어까지에서만 뽑습니다"},
    {"of what is drawn", "단어를 뽑는 시드"},
    {"captions with their log-probabilities", "설명과 로그 확률을 출력합니다"},
    {"CENTER/WIDTH of grey DICOM instead of each file's own, in the units of its values (CT of the lung: -600/1500); of "
     "whatever modality",
     "흑백 DICOM에 파일마다 적힌 값 대신 쓸 윈도, 가운데/너비. 단위는 파일의 값과 같고(폐 CT: -600/1500), 모달리티를 가리지 "
     "않습니다"},
    // classify
    {"two or more, with commas between; English or Korean", "쉼표로 나눈 둘 이상의 분류(영어나 한국어)"},
    {"sentence with {} for the label (default: a few built in for each language)",
     "분류가 들어갈 자리에 {}를 둔 문장 틀(기본값: 언어마다 들어 있는 몇 가지)"},
    {"embedding: the contrastive head; caption: how likely the model would say it",
     "embedding: 대조 학습한 임베딩으로. caption: 모델이 그렇게 말할 확률로"},
    {"labels printed for each picture", "그림마다 출력할 분류 수"},
    {"file of 'duet eval classify --calibrate': its labels, template and window, probabilities that mean what they say with "
     "intervals, and the labels that hold the truth in 90 %",
     "'duet eval classify --calibrate'가 쓴 보정 파일. 거기 적힌 분류, 틀, 윈도를 쓰고, 보정된 확률과 그 구간, "
     "90%의 경우에 정답이 드는 분류들을 냅니다"},
    {"folder for pictures of where the model finds the first label (infer/occlusion.h)",
     "모델이 첫째 분류를 찾은 곳을 칠한 그림을 쓸 폴더(infer/occlusion.h)"},
    {"all probabilities, and the templates used", "모든 확률과 사용한 틀을 출력합니다"},
    {"  duet classify photos/ --labels \"cat,dog,airplane\"\n  duet classify a.png --labels \"고양이,개\" --by caption",
     "  duet classify photos/ --labels \"고양이,개,비행기\"\n  duet classify a.png --labels \"cat,dog\" --by caption"},
    // embed
    {"pictures or folders (by their names), and texts", "그림이나 폴더(이름으로 알아봅니다), 그리고 글"},
    {"take every ITEM as a text", "모든 ITEM을 글로 봅니다"},
    {"print the vectors; without it, the table of cosines between all items",
     "벡터를 출력합니다. 주지 않으면 모든 항목 사이의 코사인 유사도를 표로 출력합니다"},
    {"  duet embed cat.png \"a cat\" \"자동차\"\n  duet embed photos/ --json > vectors.json",
     "  duet embed cat.png \"고양이\" \"a car\"\n  duet embed photos/ --json > vectors.json"},
    // serve
    {"address to listen on; any but this machine's own needs --api-key-file",
     "접속을 받을 주소. 이 컴퓨터에만 열리는 주소가 아니면 --api-key-file이 필요합니다"},
    {"0: a free one, printed", "포트 번호. 0: 비어 있는 번호를 골라 알려 줍니다"},
    {"keys that are let in, one a line; all routes but /health then need one",
     "받아들일 키를 한 줄에 하나씩 적은 파일. 그러면 /health를 뺀 모든 주소에 키가 필요합니다"},
    {"names that people call this server by, beside localhost and addresses",
     "localhost와 숫자 주소 말고 이 서버를 부르는 이름"},
    {"pictures that may wait", "대기열에서 기다릴 수 있는 그림 수"},
    {"file of 'duet eval classify --calibrate': /v1/classify asks its labels where a request names none, and says what their "
     "probabilities are worth",
     "'duet eval classify --calibrate'가 쓴 보정 파일. 요청에 분류가 없으면 /v1/classify는 거기 적힌 분류를 묻고, 보정된 "
     "확률과 그 구간을 냅니다"},
    {"seconds a request may take, its wait included", "요청 하나에 주는 시간(초). 기다리는 시간도 셉니다"},
    {"The address goes to standard output. Prompts and pictures are never logged.\n"
     "  duet serve --port 8080\n"
     "  curl http://127.0.0.1:8080/v1/images/generations -H 'Content-Type: application/json' -d '{\"prompt\": \"a red "
     "circle\"}'",
     "주소는 표준 출력으로 나갑니다. 프롬프트와 그림은 로그에 남기지 않습니다.\n"
     "  duet serve --port 8080\n"
     "  curl http://127.0.0.1:8080/v1/images/generations -H 'Content-Type: application/json' -d '{\"prompt\": \"빨간 "
     "원\"}'"},
    // search
    {"a folder of pictures, or a data set that duet built", "그림 폴더, 또는 duet으로 만든 데이터 세트"},
    {"words, English or Korean, or the name of a picture", "찾을 글(영어나 한국어), 또는 그림 파일의 이름"},
    {"how many of the best", "가까운 순서로 찾을 그림 수"},
    {"contact sheet to write", "모음 그림을 쓸 파일"},
    {"write no contact sheet", "모음 그림을 쓰지 않습니다"},
    {"of a data set: train, val, heldout or pairs (default: all)",
     "데이터 세트의 부분: train, val, heldout, pairs 가운데 하나(기본값: 모두)"},
    {"do not keep the vectors in DIR/.duet-index.safetensors", "벡터를 DIR/.duet-index.safetensors에 남기지 않습니다"},
    {"results with their cosines", "결과와 코사인 유사도를 출력합니다"},
    {"  duet search photos \"a red car\"\n  duet search data/emoji cat.png -n 32 -o like-cat.png",
     "  duet search photos \"빨간 자동차\"\n  duet search data/emoji cat.png -n 32 -o like-cat.png"},
    // info, quantize, merge
    {"list every tensor", "모든 텐서를 나열합니다"},
    {"everything, tensors included", "텐서까지 모두 출력합니다"},
    {"folder for model.safetensors and tokenizer.json", "model.safetensors와 tokenizer.json을 쓸 폴더"},
    {"Every verb reads them. They save room; --quantize int8 is what makes products faster, with any weights.\n"
     "  duet quantize assets/xs -o xs-int8",
     "모든 명령이 이 파일을 읽습니다. 저장 공간을 아낄 뿐이고, 계산이 빨라지는 것은 --quantize int8입니다(어느 가중치에나 "
     "됩니다).\n"
     "  duet quantize assets/xs -o xs-int8"},
    {"two models or more: folder, .safetensors, or the name of weights that ship",
     "둘 이상의 모델: 폴더, .safetensors, 또는 함께 오는 가중치의 이름"},
    {"how much of each, in their order, any scale; below 0 takes away (default: as much of each)",
     "모델 순서대로 주는 비율. 합이 1이 아니어도 되고, 0보다 작으면 뺍니다(기본값: 모두 같게)"},
    {"which of them says in how many steps and with what guidance to draw", "그릴 때의 단계 수와 가이던스를 정하는 모델"},
    {"folder for model.safetensors (bf16) and tokenizer.json", "model.safetensors(bf16)와 tokenizer.json을 쓸 폴더"},
    {"Helps where the models were trained on from one ancestor; of strangers it makes nothing of use. What it made is a "
     "start\n"
     "for training like any other ('duet train CONFIG --set start=DIR').\n"
     "  duet merge xs-128 xs --share 0.7 --share 0.3 -o both\n"
     "What tuning taught one model, given to another (here: to draw in 4 steps, to one trained on from xs-128):\n"
     "  duet merge runs/mine/model xs-fast xs-128 --share 1 --share 1 --share=-1 --draw-as xs-fast -o fast",
     "같은 모델에서 갈라져 이어 학습한 모델끼리라야 도움이 됩니다. 서로 상관없는 모델로는 쓸모 있는 것이 나오지 않습니다.\n"
     "합친 것은 다른 가중치처럼 학습을 시작하는 데 쓸 수 있습니다('duet train CONFIG --set start=DIR').\n"
     "  duet merge xs-128 xs --share 0.7 --share 0.3 -o both\n"
     "한 모델이 추가로 배운 것을 다른 모델에 옮기기(여기서는 4단계로 그리는 법을 xs-128에서 이어 학습한 모델에):\n"
     "  duet merge runs/mine/model xs-fast xs-128 --share 1 --share 1 --share=-1 --draw-as xs-fast -o fast"},
    // train, plan
    {"TOML file, for example assets/configs/xs.toml", "TOML 파일. 예: assets/configs/xs.toml"},
    {"change a key: --set optimizer.lr=0.002 --set data.batch=32",
     "키를 바꿉니다: --set optimizer.lr=0.002 --set data.batch=32"},
    {"go on from the newest checkpoint of 'out'; the same bits as if it had never stopped",
     "'out'의 최신 체크포인트에서 이어 학습합니다. 멈추지 않은 것과 비트까지 같습니다"},
    {"write the newest checkpoint's EMA weights and tokenizer to this folder, and leave",
     "최신 체크포인트의 EMA 가중치와 토크나이저를 이 폴더에 쓰고 끝냅니다"},
    {"print the whole config and leave", "설정 전체를 출력하고 끝냅니다"},
    {"Ctrl-C saves a checkpoint and leaves; a second Ctrl-C leaves at once.",
     "Ctrl-C를 누르면 체크포인트를 저장하고 끝냅니다. 한 번 더 누르면 바로 끝냅니다."},
    {"TOML file, for example assets/configs/s.toml", "TOML 파일. 예: assets/configs/s.toml"},
    {"change a key: --set model.width=512 --set data.batch=256", "키를 바꿉니다: --set model.width=512 --set data.batch=256"},
    {"as JSON", "JSON으로 출력합니다"},
    {"Takes a few steps of random pictures on this CPU to measure. Needs neither data nor a tokenizer.",
     "이 CPU에서 무작위 그림으로 몇 단계를 돌려 잽니다. 데이터도 토크나이저도 필요 없습니다."},
    // data
    {"{}; or yours: a folder, a tar, COCO JSON[:FOLDER of its pictures], or table:FOLDER/NAME.tsv",
     "{}. 또는 직접 모은 것: 폴더, tar, COCO JSON[:그림이 든 FOLDER], table:FOLDER/NAME.tsv"},
    {"folder to make", "새로 만들 폴더"},
    {"pixels a side", "한 변의 픽셀 수"},
    {"where downloaded packages are kept", "내려받은 패키지를 둘 곳"},
    {"what the styles of table: sources are called (default: styles.tsv beside each)",
     "table: 출처에 나오는 스타일의 이름을 적은 파일(기본값: 출처 옆의 styles.tsv)"},
    {"how many procedural scenes", "프로그램으로 만들어 낼 장면 수"},
    {"at most so many pictures of each source; 0: all", "출처마다 쓸 최대 그림 수. 0: 모두"},
    {"of the scenes", "장면의 시드"},
    {"of your own pictures: a regular expression; what has the same match in its name is in one split, so "
     "'patient[0-9]+' keeps a patient's slices out of val that were trained on",
     "직접 모은 그림에 쓰는 정규식. 이름에서 이에 맞는 글자가 같은 그림은 한쪽에 모읍니다. 'patient[0-9]+'로 하면 학습에 쓴 "
     "환자의 다른 단면이 val에 들어가지 않습니다"},
    {"of your own pictures: the share that is kept apart as val, each picture (patient) by chance; 1: all",
     "직접 모은 그림 중 val로 떼어 둘 비율. 그림(환자)마다 무작위로 정합니다. 1: 모두"},
    {"of your own pictures: the share that is kept apart besides, for the last report: neither trained on nor chosen by",
     "직접 모은 그림 중 마지막 보고에 쓰려고 따로 떼어 둘 비율. 학습에도, 설정을 고르는 데에도 쓰지 않습니다"},
    {"of your own pictures: each category (folder) has the shares --val and --heldout of its own, by whole patients, and not "
     "by "
     "chance; files are read twice",
     "내 그림에서: --val과 --heldout의 비율을 우연이 아니라 범주(폴더)마다, 환자를 나누지 않고 지킵니다. 파일을 두 번 "
     "읽습니다"},
    {"of your own pictures: one without words is captioned with the name of its folder",
     "직접 모은 그림에 설명이 없으면 폴더 이름을 설명으로 삼습니다"},
    {"data set", "데이터 세트"},
    {"PNG to write", "쓸 PNG 파일"},
    {"pictures", "그림 수"},
    {"train, val, heldout or pairs", "train, val, heldout, pairs 가운데 하나"},
    {"compositions that training makes of the pictures, instead of the pictures",
     "그림 대신, 학습 때 그림을 합성해 만드는 것을 보여 줍니다"},
    // tokenizer
    {"text files", "텍스트 파일"},
    {"tokens, bytes and special ones included", "토큰 수(바이트와 특수 토큰 포함)"},
    {"tokenizer.json to write", "새로 쓸 tokenizer.json"},
    {"tokenizer.json", "tokenizer.json 파일"},
    // eval
    {"of everything random: choice, noise, intervals", "모든 무작위(고르기, 노이즈, 구간)의 시드"},
    {"also write all figures to this file; - is standard output, the table then on stderr",
     "모든 수치를 이 파일에도 씁니다. -이면 표준 출력에 쓰고 표는 표준 오류로 보냅니다"},
    {"data set, as 'duet data build' writes it", "'duet data build'로 만든 데이터 세트"},
    {"heldout, val, train or pairs", "heldout, val, train, pairs 가운데 하나"},
    {"data sets, as 'duet data build' writes them", "'duet data build'로 만든 데이터 세트들"},
    {"prompts of each group: seen, held-out concepts, held-out pairs of concept and style",
     "그룹마다의 프롬프트 수: 본 것, 떼어 둔 개념, 떼어 둔 개념과 스타일의 짝"},
    {"whose captions are drawn: train, heldout, pairs, val; may be given again",
     "어느 부분의 설명을 그릴지: train, heldout, pairs, val. 여러 번 줄 수 있습니다"},
    {"only prompts of this look: a style, or \"of NAME\" for a data set without one; may be given again",
     "이 스타일의 프롬프트만 그립니다. 스타일이 없는 데이터 세트는 \"of NAME\"으로 씁니다. 여러 번 줄 수 있습니다"},
    {"folder for eval.json, report.html, nearest.png", "eval.json, report.html, nearest.png를 쓸 폴더"},
    {"also a PNG of drawings of random prompts, for a model card",
     "무작위로 고른 프롬프트의 그림을 모은 PNG도 씁니다(모델 카드용)"},
    {"pictures of each gallery and sheet", "보고서와 모음 그림마다 실을 그림 수"},
    {"prompts of each group drawn from four seeds", "그룹마다 시드 네 개로 그릴 프롬프트 수"},
    {"scenes of each of seen, unseen in en, ko, as in eval scenes; 0: none",
     "eval scenes처럼 seen(본 것)과 unseen(못 본 것), en과 ko마다의 장면 수. 0: 하지 않음"},
    {"what --best-of goes by: contrastive, caption or both", "--best-of가 고르는 기준: contrastive, caption, both 가운데 하나"},
    {"scenes of each of seen, unseen in en, ko", "seen(본 것)과 unseen(못 본 것), en과 ko마다의 장면 수"},
    {"beams of a caption; 1: greedy", "설명의 빔 수. 1: 탐욕 탐색"},
    {"PNG of drawings of each group, with what is wrong", "그룹마다 그린 그림과 틀린 점을 모은 PNG"},
    {"drawings of each group on the sheet", "모음 그림에 그룹마다 실을 그림 수"},
    {"Unseen scenes hold combinations of shape, colour and relation that training leaves out.",
     "못 본(unseen) 장면에는 학습에서 빼 둔 모양, 색, 관계의 조합이 들어 있습니다."},
    {"scenes in each language", "언어마다의 장면 수"},
    {"pictures guessed together; changes speed only", "한꺼번에 추정하는 그림 수. 속도만 달라집니다"},
    {"One guess from a noisy picture, without guidance. See infer/eval_binding.h.",
     "노이즈가 낀 그림에서 가이던스 없이 한 번에 추정합니다. 자세한 것은 infer/eval_binding.h에 있습니다."},
    {"captions, half of them Korean", "설명 수. 절반은 한국어입니다"},
    {"PNG of drawings beside their own pictures", "그린 그림과 원래 그림을 나란히 모은 PNG"},
    {"pairs on the sheet", "모음 그림에 실을 짝의 수"},
    {"do not name the style: \"apple\" instead of \"apple, emoji\"",
     "스타일을 말하지 않습니다: \"apple, emoji\"가 아니라 \"apple\""},
    {"texts must find their pictures among the training pictures too",
     "글로 그림을 찾을 때 학습 그림까지 섞은 가운데서 찾습니다"},
    {"the last folder of a category instead of the first", "분류로 첫 폴더가 아니라 마지막 폴더를 씁니다"},
    {"sentence with {} for the label (default: the built-in ones)",
     "분류가 들어갈 자리에 {}를 둔 문장 틀(기본값: 들어 있는 것)"},
    {"embedding or caption likelihood", "embedding(임베딩)이나 caption(설명의 확률)"},
    {"learn from this split what its probabilities are worth, into this file (.json): infer/calibration.h",
     "이 부분에서 확률이 얼마나 믿을 만한지 배워 이 파일(.json)에 씁니다: infer/calibration.h"},
    {"such a file, learnt of another split: its probabilities and sets are judged",
     "다른 부분에서 배운 보정 파일. 그것으로 낸 확률과 집합을 평가합니다"},
    {"en or ko", "en(영어)이나 ko(한국어)"},
    {"beams; 1: greedy", "빔 수. 1: 탐욕 탐색"},
    {"captions as pycocoevalcap reads them", "설명을 pycocoevalcap이 읽는 형식으로 쓸 파일"},
    {"references in COCO format, with the same image ids", "참조 설명을 COCO 형식으로 쓸 파일. 그림 번호는 위와 같습니다"},
    {"what --json of scenes, icons, caption or classify wrote, or the folder of generate",
     "scenes, icons, caption, classify의 --json이 쓴 파일, 또는 generate의 폴더"},
    {"of the intervals", "구간의 시드"},
    {"also write the rows to this file; - is standard output, the table then on stderr",
     "모든 행을 이 파일에도 씁니다. -이면 표준 출력에 쓰고 표는 표준 오류로 보냅니다"},
    {"  duet eval caption data/mine --weights one --json one.json; the same with other\n"
     "  duet eval compare one.json other.json",
     "  duet eval caption data/mine --weights one --json one.json; other로도 똑같이\n"
     "  duet eval compare one.json other.json"},
};

std::string turned(const std::string& english) {
  for (const KoreanMessage& row : kHelp)
    if (auto said = korean_by(row, english)) return *said;
  return english;
}

std::string labelled(const std::string& english) {
  for (const KoreanMessage& row : kLabels)
    if (row.english == english) return std::string(row.korean);
  return english;
}

void turn(CLI::App& app) {
  app.description(turned(app.get_description()));
  app.footer(turned(app.get_footer()));
  app.group(labelled(app.get_group()));
  for (CLI::Option* o : app.get_options()) o->description(turned(o->get_description()))->group(labelled(o->get_group()));
  for (CLI::App* verb : app.get_subcommands({})) turn(*verb);
}

}  // namespace

void help_in_korean(CLI::App& app, CLI::FormatterBase& formatter) {
  turn(app);
  for (const KoreanMessage& row : kLabels) formatter.label(std::string(row.english), std::string(row.korean));
}

std::span<const KoreanMessage> korean_help() { return kHelp; }
std::span<const KoreanMessage> korean_labels() { return kLabels; }

}  // namespace duet
