#include "train/koreanwords.h"

#include <algorithm>
#include <map>

namespace duet {
namespace {

// ENGLISH=KOREAN, ";" or a new line between. What a word means here is what icon sets draw under it ("mouse": the
// device or the animal, so both sets of pictures are left out; "seal": a stamp or an animal, left out).
constexpr std::string_view kWords = R"(
abacus=주판;accordion=아코디언;acorn=도토리;airplane=비행기;airplane landing=착륙하는 비행기;airplane takeoff=이륙하는 비행기
alarm=알람 시계;alarm clock=알람 시계;alien=외계인;ambulance=구급차;anchor=닻;ant=개미;antenna=안테나;anvil=모루;apple=사과
aquarium=어항;armchair=안락의자;asterisk=별표;astronaut=우주 비행사;atom=원자;aubergine=가지;avocado=아보카도;axe=도끼
baby=아기;baby bottle=젖병;baby carriage=유모차;backpack=배낭;bacteria=세균;bag=가방;balloon=풍선;ballet shoes=발레 슈즈
banana=바나나;bandage=반창고;banknote=지폐;barcode=바코드;barn=헛간;barrel=통;baseball=야구공;basket=바구니
basketball=농구공;bat=박쥐;bathtub=욕조;battery=배터리;beach ball=비치볼;bear=곰;beaver=비버;bed=침대;bee=벌;beer bottle=맥주병
beehive=벌집;beetle=딱정벌레;belt=허리띠;bench=벤치;bicycle=자전거;bike=자전거;billboard=광고판;binoculars=쌍안경;bird=새
birdhouse=새집;biscuit=비스킷;blender=믹서기;boar=멧돼지;boat=배;bomb=폭탄;bone=뼈;book=책;book open=펼친 책;bookmark=책갈피
books=책들;boomerang=부메랑;bottle=병;bow tie=나비넥타이;bowl=그릇;bowling ball=볼링공;box=상자;boxing glove=권투 글러브
brain=뇌;bread=빵;bread slice=식빵 한 조각;brick=벽돌;bridge=다리;briefcase=서류 가방;broccoli=브로콜리;broom=빗자루
brush=붓;bucket=양동이;bug=벌레;building=건물;bulb=전구;bull=황소;bulldozer=불도저;bus=버스;butterfly=나비
cabbage=양배추;cable car=케이블카;cactus=선인장;cake=케이크;calculator=계산기;calendar=달력;camel=낙타;camera=카메라
campfire=모닥불;candle=양초;candy=사탕;candy cane=지팡이 사탕;cannon=대포;canoe=카누;car=자동차;car battery=자동차 배터리
caravan=캠핑카;carrot=당근;cash register=금전 등록기;cassette tape=카세트테이프;castle=성;cat=고양이;caterpillar=애벌레
cauldron=가마솥;cave=동굴;chair=의자;chalkboard=칠판;chameleon=카멜레온;chef hat=요리사 모자;cheese=치즈;cherry=체리
cherries=체리;chicken=닭;chili pepper=고추;chimney=굴뚝;church=교회;cigar=시가;cigarette=담배;circle=원;city=도시;clapperboard=슬레이트
clipboard=클립보드;clock=시계;cloud=구름;cloud lightning=번개 치는 구름;cloud moon=구름과 달;cloud rain=비구름
cloud snow=눈구름;cloud sun=구름과 해;clover=클로버;coat hanger=옷걸이;coconut=코코넛;coffee=커피;coffee cup=커피 잔
coffin=관;coin=동전;coins=동전들;comb=빗;compass=나침반;computer=컴퓨터;cone=원뿔;confetti=색종이 조각;cookie=쿠키
cooking pot=냄비;corn=옥수수;couch=소파;cow=소;cowboy hat=카우보이모자;crab=게;credit card=신용카드;
crocodile=악어;croissant=크루아상;crow=까마귀;crown=왕관;cube=정육면체;cup=컵;cupboard=찬장;cupcake=컵케이크;cylinder=원기둥
dagger=단검;deer=사슴;desk=책상;desk lamp=책상 등;diamond=다이아몬드;dinosaur=공룡;dog=개;dolphin=돌고래;donkey=당나귀
donut=도넛;door=문;door open=열린 문;dove=비둘기;dragon=용;dragonfly=잠자리;dress=드레스;drone=드론;drop=물방울
droplet=물방울;drum=북;dryer=건조기;duck=오리;dumbbell=아령;eagle=독수리;ear=귀;earbuds=이어폰;earth=지구;egg=달걀;eggs=달걀들
elephant=코끼리;elevator=엘리베이터;elf=요정;envelope=편지 봉투;eraser=지우개;eye=눈;eyeglasses=안경;eyes=두 눈
factory=공장;fairy=요정;feather=깃털;fence=울타리;file=파일;film strip=필름;fingerprint=지문;fire=불;fire extinguisher=소화기
fire truck=소방차;fireplace=벽난로;firework=불꽃놀이;fish=물고기;flag=깃발;flame=불꽃;flamingo=플라밍고;flashlight=손전등;flask=플라스크
flower=꽃;flute=플루트;fly=파리;folder=폴더;folder open=열린 폴더;folders=폴더들;football helmet=미식축구 헬멧;footprints=발자국
forest=숲;fork knife=포크와 나이프;forklift=지게차;fountain=분수;fox=여우;french fries=감자튀김;fridge=냉장고;frog=개구리;funnel=깔때기
garage=차고;gas pump=주유기;gauge=계기판;gavel=의사봉;gear=톱니바퀴;ghost=유령;gift=선물;giraffe=기린;globe=지구본
glove=장갑;gloves=장갑;goat=염소;goggles=고글;gorilla=고릴라;graduation cap=학사모;grapes=포도;grass=풀;grasshopper=메뚜기
grenade=수류탄;guitar=기타;hair dryer=헤어드라이어;ham=햄;hamburger=햄버거;hammer=망치;hamster=햄스터;hand=손;handbag=핸드백
handcuffs=수갑;handshake=악수;hard hat=안전모;harp=하프;hat=모자;headphones=헤드폰;heart=하트;hedgehog=고슴도치
helicopter=헬리콥터;helmet=헬멧;hen=암탉;hexagon=육각형;high heel=하이힐;hippopotamus=하마;home=집;honey=꿀;hoodie=후드 티
horse=말;horseshoe=편자;hospital=병원;hot dog=핫도그;hourglass=모래시계;house=집;hurricane=허리케인
ice cream=아이스크림;ice cube=얼음 조각;igloo=이글루;infinity=무한대;island=섬;jacket=재킷;jail=감옥;jar=유리병;jeep=지프차
jellyfish=해파리;joystick=조이스틱;kangaroo=캥거루;kettle=주전자;key=열쇠;keyboard=키보드;keyhole=열쇠 구멍;kite=연
knife=칼;koala=코알라;ladder=사다리;ladybug=무당벌레;lamp=램프;lantern=등불;laptop=노트북 컴퓨터;leaf=나뭇잎;leek=대파;lemon=레몬
letter box=우편함;library=도서관;lifebuoy=구명튜브;lighter=라이터;lighthouse=등대;lightbulb=전구;lightning=번개;lily=백합
lion=사자;lips=입술;lipstick=립스틱;lizard=도마뱀;lobster=바닷가재;lock=자물쇠;lock open=열린 자물쇠;lollipop=막대 사탕;lungs=폐
magic wand=마술 지팡이;magnet=자석;magnifying glass=돋보기;mailbox=우편함;map=지도;map pin=지도 핀;maracas=마라카스;medal=메달
megaphone=확성기;melon=멜론;metronome=메트로놈;microphone=마이크;microscope=현미경;microwave=전자레인지;milk=우유;mirror=거울
money=돈;monkey=원숭이;moon=달;mosque=이슬람 사원;mosquito=모기;motorbike=오토바이;motorcycle=오토바이;mountain=산;mountains=산들;mushroom=버섯
music note=음표;mustache=콧수염;necklace=목걸이;needle=바늘;nest=둥지;newspaper=신문;noodles=국수;nose=코;notebook=공책;
oak=참나무;octagon=팔각형;octopus=문어;office chair=사무용 의자;onigiri=주먹밥;onion=양파;orange=오렌지;orange slice=오렌지 조각;oven=오븐
owl=부엉이;package=소포;padlock=자물쇠;pail=양동이;paint brush=그림 붓;paint bucket=페인트 통;paint roller=페인트 롤러;palette=팔레트
palm tree=야자수;pan=프라이팬;panda=판다;pants=바지;paper plane=종이비행기;paperclip=클립;parachute=낙하산;parrot=앵무새;passport=여권
paw=발바닥;paw print=발바닥 자국;peach=복숭아;peacock=공작;peanut=땅콩;pear=서양배;pearl=진주;pen=펜;pencil=연필;pencil ruler=연필과 자
penguin=펭귄;pentagon=오각형;pepper=고추;perfume bottle=향수병;phone=전화기;piano=피아노;piano keys=피아노 건반;pickaxe=곡괭이;picture=그림
pig=돼지;piggy bank=돼지 저금통;pigeon=비둘기;pill=알약;pineapple=파인애플;pinwheel=바람개비;pizza=피자;pizza slice=피자 한 조각
planet=행성;plant=식물;plug=플러그;plus=더하기;police car=경찰차;pond=연못;popcorn=팝콘;popsicle=아이스바;potato=감자;present=선물
pretzel=프레첼;printer=프린터;prison=감옥;pumpkin=호박;purse=지갑;puzzle=퍼즐;pyramid=피라미드;qr code=큐알 코드;rabbit=토끼
raccoon=너구리;radar=레이더;radio=라디오;rain=비;rainbow=무지개;rake=갈퀴;ram=숫양;razor=면도기;receipt=영수증;rectangle=직사각형
ribbon=리본;rice cooker=전기밥솥;ring=반지;road=도로;robot=로봇;rock=바위;rocket=로켓;roller skate=롤러스케이트;rooster=수탉
rope=밧줄;rose=장미;rug=깔개;ruler=자;run=달리기;saddle=안장;sailboat=돛단배;sandal=샌들;sandwich=샌드위치;satellite=인공위성;sausage=소시지
saw=톱;saxophone=색소폰;scales=저울;scarecrow=허수아비;scarf=목도리;school=학교;scissors=가위;scooter=킥보드;scorpion=전갈;screw=나사
screwdriver=드라이버;seahorse=해마;shark=상어;sheep=양;shield=방패;ship=배;shirt=셔츠;shoe=신발;shop=가게;shopping bag=쇼핑백
shopping basket=장바구니;shopping cart=쇼핑 카트;shovel=삽;shower=샤워기;shrimp=새우;sickle=낫;siren=사이렌;skateboard=스케이트보드
skull=두개골;sled=썰매;smartphone=스마트폰;snail=달팽이;snake=뱀;sneaker=운동화;snowflake=눈송이;snowman=눈사람;soap=비누;soccer ball=축구공
sock=양말;sofa=소파;solar panel=태양 전지판;speaker=스피커;sphere=구;spider=거미;spider web=거미줄;spiral=나선;sponge=스펀지
spoon=숟가락;spray bottle=분무기;sprout=새싹;square=사각형;squirrel=다람쥐;stadium=경기장;stairs=계단;star=별
statue=조각상;steak=스테이크;steering wheel=운전대;stethoscope=청진기;stool=걸상;stopwatch=초시계;store=가게;strawberry=딸기
submarine=잠수함;suitcase=여행 가방;sun=해;sunflower=해바라기;sunglasses=선글라스;sunrise=해돋이;sunset=해넘이;surfboard=서핑 보드
sushi=초밥;swan=백조;sweater=스웨터;swimming pool=수영장;swing=그네;sword=검;syringe=주사기;t shirt=티셔츠;tank=탱크
taxi=택시;tea=차;teapot=찻주전자;teddy bear=곰 인형;telephone=전화기;telescope=망원경;television=텔레비전;tennis ball=테니스공;tent=텐트
test tube=시험관;thermometer=온도계;thumbs down=엄지 내린 손;thumbs up=엄지 올린 손;ticket=표;tie=넥타이;tiger=호랑이;tire=타이어;toaster=토스터
toilet=변기;toilet paper=두루마리 휴지;tomato=토마토;tombstone=묘비;toolbox=공구 상자;tooth=치아;toothbrush=칫솔;tornado=토네이도;tortoise=거북
towel=수건;tower=탑;tractor=트랙터;traffic cone=교통 고깔;traffic light=신호등;train=기차;tram=전차;trash=쓰레기통;trash can=쓰레기통
treasure chest=보물 상자;tree=나무;tree palm=야자수;triangle=삼각형;trophy=트로피;trousers=바지;truck=트럭;trumpet=트럼펫;tulip=튤립
tunnel=터널;turkey=칠면조;turtle=거북;typewriter=타자기;ufo=유에프오;umbrella=우산;unicorn=유니콘;user=사용자;users=사용자들
vase=꽃병;video camera=비디오카메라;violin=바이올린;virus=바이러스;volcano=화산;volleyball=배구공;vulture=독수리;wall=벽
wallet=지갑;walrus=바다코끼리;warehouse=창고;washing machine=세탁기;wasp=말벌;watch=손목시계;watering can=물뿌리개;water bottle=물병
waterfall=폭포;watermelon=수박;waves=파도;webcam=웹캠;well=우물;whale=고래;wheat=밀;wheel=바퀴;wheelchair=휠체어
whistle=호루라기;wifi=와이파이;windmill=풍차;window=창문;wine=와인;wine bottle=와인 병;wine glass=와인 잔;wolf=늑대;worm=벌레
wrench=렌치;yarn=털실;yin yang=음양;zebra=얼룩말)";

struct Ending {
  const char *en, *ko;
};

// " plus" -> a thing with such a mark on it.
constexpr Ending kMarks[] = {
    {"plus", "더하기 표시가 있는"}, {"minus", "빼기 표시가 있는"}, {"check", "체크 표시가 있는"}, {"x", "엑스 표시가 있는"},
    {"remove", "엑스 표시가 있는"}, {"lock", "자물쇠가 있는"},     {"heart", "하트가 있는"},      {"star", "별이 있는"},
    {"alert", "느낌표가 있는"},     {"question", "물음표가 있는"}, {"clock", "시계가 있는"},      {"cog", "톱니바퀴가 있는"},
    {"search", "돋보기가 있는"},    {"off", "사선이 그어진"},      {"slash", "사선이 그어진"},    {"multiple", "여러 개의"},
};

constexpr Ending kDirections[] = {{"up", "위쪽"}, {"down", "아래쪽"}, {"left", "왼쪽"}, {"right", "오른쪽"}};
constexpr Ending kPointers[] = {
    {"arrow", "화살표"}, {"chevron", "꺾쇠"}, {"caret", "삼각 꺾쇠"}, {"hand pointing", "가리키는 손"}};

const std::map<std::string_view, std::string_view>& table() {
  static const auto words = [] {
    std::map<std::string_view, std::string_view> m;
    for (std::string_view rest = kWords; !rest.empty();) {
      size_t end = std::min(rest.find_first_of(";\n"), rest.size());
      std::string_view entry = rest.substr(0, end);
      if (size_t equal = entry.find('='); equal != entry.npos) m.emplace(entry.substr(0, equal), entry.substr(equal + 1));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return m;
  }();
  return words;
}

}  // namespace

std::string korean_word(std::string_view name) {
  if (auto it = table().find(name); it != table().end()) return std::string(it->second);
  size_t space = name.rfind(' ');
  if (space == name.npos) return {};
  std::string_view first = name.substr(0, space), last = name.substr(space + 1);
  for (auto& d : kDirections) {
    if (last != d.en) continue;
    for (auto& p : kPointers)
      if (first == p.en) return std::string(d.ko) + " " + p.ko;
  }
  for (auto& mark : kMarks) {
    if (last != mark.en) continue;
    if (auto it = table().find(first); it != table().end()) return std::string(mark.ko) + " " + std::string(it->second);
  }
  return {};
}

}  // namespace duet
