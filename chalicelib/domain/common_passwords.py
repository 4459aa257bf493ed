"""Passwords of twelve characters and more that stand in every list of leaked ones.

One rule: all in lower case; shorter ones are refused by their length already.
Source: security, S3.
"""

from __future__ import annotations

_LISTED = """
123456789012 1234567890123 12345678901234 123456789123 1234567891011 012345678901 987654321098
098765432109 987654321012 112233445566 123123123123 123412341234 121212121212 101010101010
123456123456 123456654321 123456abcdef abcdef123456 abc123abc123 123abc123abc a1b2c3d4e5f6
1q2w3e4r5t6y 1q2w3e4r5t6y7u 1qaz2wsx3edc 1qaz2wsx3edc4rfv zaq12wsxcde3 zaq1xsw2cde3 qwertyuiop12
qwertyuiop123 qwertyuiop1234 qwertyuiopasdf qwertyuiopasdfghjkl qwertyuiop[] qwerty123456
qwerty1234567 qwerty12345678 qwerty123456789 123456qwerty 123456789qwerty qwertyqwerty
qwerty123qwerty qwertyasdfgh qwertyasdfzxcv asdfghjkl123 asdfghjkl1234 asdfasdfasdf asdf1234asdf
zxcvbnmasdfghjkl zxcvbnm12345 zxcvbnm123456 abcdefghijkl abcdefghijklm abcdefgh1234 abcd12345678
abcd1234abcd abcdef1234567 abc123456789 abc1234567890 a12345678901 aa1234567890 a1234567890b
password1234 password12345 password123456 password1234567 password12345678 password123456789
passwordpassword password1password1 password!234 password123! password1234! password2020
password2021 password2022 password2023 password2024 password2025 password2026 p@ssw0rd1234
p@ssword1234 p@ssw0rd123! p@ssw0rd12345 pa$$word1234 passw0rd1234 passw0rd123! mypassword123
mypassword1234 mypassword12 yourpassword thisispassword thisismypassword newpassword1
newpassword123 newpassword12 changepassword changeme1234 changeme12345 changeme123! changemenow1
changeitnow1 letmein12345 letmein123456 letmeinletmein letmeinplease welcome12345 welcome123456
welcome1234! welcome2023! welcome2024! welcome2025! welcomewelcome welcomehome1 adminadmin12
adminadmin123 adminadminadmin administrator administrator1 administrator123 admin1234567
admin12345678 admin123456789 admin@123456 admin@1234567 admin123admin root12345678 rootrootroot
toor12345678 superuser123 superadmin12 superadmin123 supersecret1 supersecret123 secret123456
secretsecret topsecret123 topsecret1234 test12345678 testtesttest test1234test testing12345
testpassword testpassword1 temp12345678 temppassword temppassword1 temporary123 default12345
defaultpassword iloveyou1234 iloveyou12345 iloveyou123456 iloveyouforever iloveyoubaby
ilovemyself1 ilovejesus123 sunshine1234 sunshine12345 princess1234 princess12345 football1234
football12345 baseball1234 basketball12 basketball123 superman1234 batman123456 spiderman123
spiderman1234 pokemon12345 dragon123456 monkey123456 master123456 shadow123456 michael12345
jennifer1234 charlie12345 jordan123456 liverpool123 liverpool1234 manchester12 manchester123
manchesterunited chelsea12345 barcelona123 realmadrid12 juventus1234 arsenal12345 startrek1234
starwars1234 starwars12345 trustno1trustno1 trustno12345 whatever1234 computer1234 computer12345
internet1234 internet12345 samsung12345 google123456 google1234567 microsoft123 facebook1234
facebook12345 instagram123 linkedin1234 amazon123456 apple1234567 windows12345 blink182blink182
correcthorsebatterystaple thequickbrownfox 1234qwerasdf 1234qwerasdfzxcv qwer1234asdf
qwerasdfzxcv q1w2e3r4t5y6 q1w2e3r4t5y6u7 qazwsxedcrfv qazwsxedc123 qazwsx123456 qweasdzxc123
qweasd123456 1qazxsw23edc 1qaz@wsx3edc !qaz2wsx#edc !qaz@wsx#edc zaq!2wsx#edc summer2023!!
summer202412 summer2024!! summer2025!! winter2023!! winter2024!! winter2025!! spring2024!!
spring2025!! autumn2024!! autumn2025!! january12345 february1234 december1234 september123
monday123456 friday123456 hello1234567 hello12345678 hellohello12 hellohellohello helloworld12
helloworld123 goodmorning1 goodluck1234 happybirthday happybirthday1 blessed12345 jesuschrist1
godisgood123 godisgreat12 christian123 mustang12345 mercedes1234 ferrari12345 corvette1234
yamaha123456 kawasaki1234 strom1234567 stroem123456 stroempassword workflow1234 orchestrator
"""

COMMON = frozenset(
    [*_LISTED.split(), "correct horse battery staple", "the quick brown fox"],
)
